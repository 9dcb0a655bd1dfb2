//! https to the IPS (feature `tls`): the certificate authorities to trust, and this node's
//! certificate.

use std::path::Path;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::ips::IpsError;
use crate::settings::TlsFiles;

/// The files of the settings: the site's own CA instead of the world's, and a certificate
/// for servers that require one.
pub(crate) fn config(files: &TlsFiles) -> Result<TlsConfig, IpsError> {
    let mut config = TlsConfig::builder();
    if let Some(path) = &files.tls_ca {
        let roots = certificates(path)?;
        config = config.root_certs(RootCerts::new_with_certs(&roots));
    }
    match (&files.tls_cert, &files.tls_key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert)?;
            let key = PrivateKey::from_pem(&read(key)?).map_err(|error| unusable(key, &error))?;
            config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        (None, None) => {}
        (Some(path), None) | (None, Some(path)) => {
            return Err(unusable(path, &"tls_cert and tls_key belong together"));
        }
    }
    Ok(config.build())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, IpsError> {
    let mut found = Vec::new();
    for item in parse_pem(&read(path)?) {
        if let PemItem::Certificate(one) = item.map_err(|error| unusable(path, &error))? {
            found.push(one);
        }
    }
    if found.is_empty() {
        return Err(unusable(path, &"want a PEM certificate in it"));
    }
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, IpsError> {
    std::fs::read(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> IpsError {
    IpsError::Tls {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
