//! One connection: HTTP/1 by hyper, on a socket that tells its slot how far it is.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service as _;

use super::Server;
use super::slots::{Slot, SlotGuard};

/// Longest head of a request, in bytes; a longer one gets 431, as more than 100 headers do.
const MAX_HEAD: usize = 32 * 1024;

/// A socket of either kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What a handler may know of its connection.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) slot: Arc<Slot>,
    /// `None`: a unix socket.
    pub(super) peer: Option<SocketAddr>,
}

/// Serves until the client goes, the slot is ended, or the server stops.
pub(super) async fn serve(
    server: Arc<Server>,
    router: Router,
    stream: Stream,
    peer: Option<SocketAddr>,
    slot: SlotGuard,
) {
    let socket = Socket {
        stream,
        slot: Arc::clone(&slot),
    };
    let about = Connection {
        slot: Arc::clone(&slot),
        peer,
    };
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(about.clone());
        router.clone().call(request)
    });
    let http = http1::Builder::new()
        // A client may send its request, close its side, and wait for the answer.
        .half_close(true)
        // The deadlines of slots.rs: hyper's also runs between two requests.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(socket), service);
    let mut http = pin!(http);
    // An error is the client's: it is gone, or its bytes are no HTTP.
    let _ = std::future::poll_fn(|context| {
        if server.is_stopping.load(Ordering::Relaxed) {
            http.as_mut().graceful_shutdown();
        }
        http.as_mut().poll(context)
    })
    .await;
}

/// A stream and its slot.
struct Socket {
    stream: Stream,
    slot: Arc<Slot>,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        self.slot.has_read(buffer.filled().len() > before);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// Without it hyper would copy each answer into a buffer that the connection keeps.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        };
        if written.is_ready() {
            self.slot.has_written();
        }
        written
    }

    /// hyper flushes only when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.slot.has_flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
