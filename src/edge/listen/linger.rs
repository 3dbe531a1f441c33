//! Lets a client that is still sending read what it was told before the connection closes.
//!
//! A request that is refused before all of it has come leaves bytes that nobody reads. Were the socket closed over them,
//! the system would reset the connection, and the client might lose the answer that says why.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client may take to stop sending.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is read at once, and thrown away.
const PIECE: usize = 4 << 10;

/// A stream whose shutdown ends what is sent, and then reads to the end of what comes, for as long as there is patience.
#[derive(Debug)]
pub(super) struct Lingering<T> {
    stream: T,
    closing: Option<Closing>,
}

#[derive(Debug)]
enum Closing {
    Waiting(Pin<Box<Sleep>>),
    Over,
}

impl<T> Lingering<T> {
    pub(super) fn new(stream: T) -> Self {
        Lingering {
            stream,
            closing: None,
        }
    }
}

impl<T: AsyncRead + Unpin> Lingering<T> {
    /// Throws away what comes, to its end.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut piece);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut piece));
            if read.is_err() || piece.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<T> {
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.closing = Some(Closing::Waiting(Box::pin(sleep(PATIENCE))));
        }
        if let Some(Closing::Waiting(patience)) = &mut self.closing
            && patience.as_mut().poll(context).is_pending()
        {
            ready!(self.poll_rest(context));
        }
        self.closing = Some(Closing::Over);
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Lingering<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
