//! The way back from the engine to whoever asked: an unbounded queue of events that threads and futures can wait on.
//!
//! Invariant: the last event is `Finished` or `Failed`; after it the receiver ends. A receiver that is dropped cancels
//! its request. The queue needs no bound of its own: a request's tokens are bounded. Read next: `types.rs`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::types::{Event, Failure, FailureKind, RequestId};

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    cancelled: AtomicBool,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    closed: bool,
    waker: Option<Waker>,
    /// Threads that wait.
    sleepers: usize,
}

/// The events of one request.
pub struct Receiver {
    id: RequestId,
    shared: Arc<Shared>,
}

/// Cancels a request from anywhere.
#[derive(Clone)]
pub struct Canceller(Arc<Shared>);

/// The engine's end.
pub(crate) struct Sender(Arc<Shared>);

pub(crate) fn channel(id: RequestId) -> (Sender, Receiver) {
    let shared = Arc::new(Shared::default());
    (Sender(shared.clone()), Receiver { id, shared })
}

impl Receiver {
    /// The request's number.
    pub fn id(&self) -> RequestId {
        self.id
    }

    /// Wait for the next event; none after the last.
    pub fn recv(&self) -> Option<Event> {
        self.wait(None)
    }

    /// Wait for the next event no longer than `timeout`; none after that time too.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        self.wait(Some(Instant::now() + timeout))
    }

    /// The next event if it is there.
    pub fn try_recv(&self) -> Option<Event> {
        self.shared.lock().events.pop_front()
    }

    /// The next event for a future; `Ready(None)` after the last.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut queue = self.shared.lock();
        match queue.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if queue.closed => Poll::Ready(None),
            None => {
                queue.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ask the engine to end the request. What it computed stays in the prefix cache; events that were sent already
    /// can still be received, and `Finished` with [`crate::FinishReason::Cancelled`] comes last.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Release);
    }

    /// A handle that cancels.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.shared.clone())
    }

    fn wait(&self, deadline: Option<Instant>) -> Option<Event> {
        let mut queue = self.shared.lock();
        loop {
            if let Some(event) = queue.events.pop_front() {
                return Some(event);
            }
            if queue.closed {
                return None;
            }
            let rest = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if rest == Some(Duration::ZERO) {
                return None;
            }
            queue.sleepers += 1;
            queue = match rest {
                Some(rest) => self.shared.arrived.wait_timeout(queue, rest).unwrap_or_else(PoisonError::into_inner).0,
                None => self.shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
            queue.sleepers -= 1;
        }
    }
}

impl Iterator for Receiver {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Canceller {
    /// As [`Receiver::cancel`].
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
    }
}

impl Sender {
    pub(crate) fn send(&self, event: Event) {
        self.push(event);
        self.wake();
    }

    /// Send without waking whoever waits.
    pub(crate) fn push(&self, event: Event) {
        let last = matches!(event, Event::Finished(_) | Event::Failed(_));
        let mut queue = self.0.lock();
        queue.events.push_back(event);
        queue.closed |= last;
    }

    /// Wake whoever waits.
    pub(crate) fn wake(&self) {
        let mut queue = self.0.lock();
        let (waker, sleepers) = (queue.waker.take(), queue.sleepers);
        drop(queue);
        if sleepers > 0 {
            self.0.arrived.notify_all();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.0.lock().closed {
            let message = "the engine's thread ended".into();
            self.send(Event::Failed(Failure { kind: FailureKind::Closed, message }));
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::channel;
    use crate::types::{Event, Failure, FailureKind};

    #[test]
    fn events_arrive_in_order_and_end() {
        let (sender, receiver) = channel(7);
        let done = |index| Event::Prefill { done: index, total: 3 };
        let thread = std::thread::spawn(move || {
            (0..3).for_each(|index| sender.send(done(index)));
            sender.send(Event::Failed(Failure { kind: FailureKind::Closed, message: "over".into() }));
        });
        let got: Vec<Event> = receiver.collect();
        thread.join().expect("the sender does not panic");
        assert_eq!(got.len(), 4);
        assert!((0..3).all(|index| got[index] == done(index)));
    }

    #[test]
    fn a_dropped_receiver_cancels_and_a_dropped_sender_ends() {
        let (sender, receiver) = channel(1);
        assert!(!sender.is_cancelled());
        drop(receiver);
        assert!(sender.is_cancelled());
        let (sender, receiver) = channel(2);
        let mut context = Context::from_waker(Waker::noop());
        assert!(receiver.poll_recv(&mut context).is_pending());
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_none());
        drop(sender);
        assert!(matches!(receiver.poll_recv(&mut context), Poll::Ready(Some(Event::Failed(_)))));
        assert_eq!(receiver.poll_recv(&mut context), Poll::Ready(None));
    }
}
