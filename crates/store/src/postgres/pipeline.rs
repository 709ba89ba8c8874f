//! Several statements on one connection in one round trip.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::Error;

/// A statement on its way; gives the rows it touched.
pub(super) type Step<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Polls all of them, at first in the order given: a statement is sent when its future is first polled, so that is the
/// order in which the server sees them, without waiting for answers in between.
pub(super) async fn together(mut steps: Vec<Step<'_>>) -> Vec<Result<u64, Error>> {
    let mut results: Vec<Option<Result<u64, Error>>> = Vec::new();
    results.resize_with(steps.len(), || None);
    let mut sent = false;
    let mut first_open = 0;
    poll_fn(move |context| {
        while first_open < steps.len() {
            // Answers come in order, so after the first round only the oldest open one can be ready.
            for index in first_open..steps.len() {
                if results[index].is_none() {
                    match steps[index].as_mut().poll(context) {
                        Poll::Ready(result) => results[index] = Some(result),
                        Poll::Pending if sent => break,
                        Poll::Pending => {}
                    }
                }
            }
            sent = true;
            let answered = results[first_open..].iter().take_while(|result| result.is_some()).count();
            if answered == 0 {
                return Poll::Pending;
            }
            first_open += answered;
        }
        Poll::Ready(results.drain(..).flatten().collect())
    })
    .await
}
