//! One connection, from its first request to its last, on a thread of its own. HTTP is
//! hyper's; there is no runtime: what hyper polls blocks until there is something, within the
//! limits of the seat, so each poll gets further.

use std::convert::Infallible;
use std::future::Future;
use std::io::IoSlice;
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};

use super::office::{Body, Office};
use super::reply::Reply;
use super::seats::{Phase, Seat};

/// How much of a request's head is read: longer ones are refused with 431.
const MAX_HEAD: usize = 32 * 1024;
/// How many polls in a row may get nowhere before the connection is given up.
const MAX_IDLE_POLLS: u32 = 1000;

/// The seat, as hyper reads and writes it.
struct Wire {
    seat: Arc<Seat>,
    /// Raised whenever something was read or written.
    moved: Arc<AtomicBool>,
}

/// Serves until the client goes, takes too long, or the server ends.
pub(super) fn serve(office: &Office, seat: &Arc<Seat>, peer: Option<SocketAddr>) {
    let moved = Arc::new(AtomicBool::new(true));
    let wire = Wire {
        seat: Arc::clone(seat),
        moved: Arc::clone(&moved),
    };
    let service = service_fn(|request| answer(office, seat, peer, request));
    let connection = http1::Builder::new()
        // Else hyper would read on, and thus block, while an answer is being made.
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .title_case_headers(true)
        .serve_connection(wire, service);
    let mut connection = pin!(connection);
    let mut context = Context::from_waker(Waker::noop());
    let mut idle_polls = 0;
    while idle_polls < MAX_IDLE_POLLS {
        if office.shared.stop.load(Ordering::Relaxed) {
            connection.as_mut().graceful_shutdown();
        }
        // An error is the client's: it is gone, was too slow, or spoke no HTTP.
        if connection.as_mut().poll(&mut context).is_ready() {
            return;
        }
        idle_polls = match moved.swap(false, Ordering::Relaxed) {
            true => 0,
            false => idle_polls + 1,
        };
    }
    tracing::error!("a connection got nowhere and was given up; report this");
}

async fn answer(
    office: &Office,
    seat: &Seat,
    peer: Option<SocketAddr>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    seat.enter(Phase::Body);
    let (head, body) = request.into_parts();
    let mut asked = office.ask(&head, peer);
    asked.body = read(body, asked.longest_body()).await;
    seat.enter(Phase::Working);
    let afterwards = match asked.body {
        Body::Read(_) => Phase::Answer,
        Body::TooLong | Body::Broken => Phase::LastAnswer,
    };
    let (reply, listing) = office.answer(asked);
    seat.hold(listing);
    seat.enter(afterwards);
    Ok(http(reply))
}

/// A body that is announced as too long is not read at all.
async fn read(body: Incoming, most: usize) -> Body {
    let most_bytes = u64::try_from(most).unwrap_or(u64::MAX);
    if body.size_hint().lower() > most_bytes {
        return Body::TooLong;
    }
    match Limited::new(body, most).collect().await {
        Ok(read) => Body::Read(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Body::TooLong,
        Err(_) => Body::Broken,
    }
}

fn http(reply: Reply) -> Response<Full<Bytes>> {
    let companion = reply.companion();
    let mut response = Response::new(Full::new(reply.body.into()));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    if let Some((name, value)) = companion {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut buffer = [0; 8 * 1024];
        let most = to.remaining().min(buffer.len());
        let read = self.seat.read(&mut buffer[..most]);
        self.moved.store(true, Ordering::Relaxed);
        Poll::Ready(read.map(|count| to.put_slice(&buffer[..count])))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// Else hyper would copy each answer into a buffer that the connection keeps.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.moved.store(true, Ordering::Relaxed);
        Poll::Ready(self.seat.write(parts))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.seat.shut(Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}
