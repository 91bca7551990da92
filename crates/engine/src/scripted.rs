//! An engine without a model: what it answers is a function of the request. It is for tests of all that stands above
//! the engine, with answers that a small model would never give.
//!
//! Invariant: its events come in the order and with the ends of the real worker's, one request after the other. Read
//! `engine.rs` for the handle and `worker` for the real one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::live::Live;
use crate::shared::{Command, Probe, Shared};
use crate::types::{Event, Failure, FailureKind, FinishReason, Request, Task, Token};

/// The tokens of the answer to a request.
pub type Script = Arc<dyn Fn(&Request) -> Vec<u32> + Send + Sync>;

/// How a scripted engine answers.
#[derive(Clone)]
pub struct ScriptedOptions {
    /// What it answers.
    pub script: Script,
    /// Longest prompt and answer together.
    pub context_tokens: usize,
    /// Tokens there are.
    pub vocabulary: usize,
    /// Between two tokens.
    pub pace: Duration,
}

/// Answers until the handle is gone.
pub(crate) fn run(options: &ScriptedOptions, commands: &Receiver<Command>, shared: &Shared) {
    while let Ok(command) = commands.recv() {
        match command {
            Command::Submit(live) => {
                shared.waiting.fetch_sub(1, Ordering::AcqRel);
                answer(options, *live);
            }
            Command::Probe { answer, .. } => drop(answer.send(Probe::default())),
            Command::ClearCache { answer } => drop(answer.send(0)),
            Command::Shutdown => return,
        }
    }
}

fn answer(options: &ScriptedOptions, mut live: Live) {
    if live.request.task != Task::Generate {
        let message = "a scripted engine has no vectors".into();
        return live.sender.send(Event::Failed(Failure { kind: FailureKind::Internal, message }));
    }
    let total = live.tokens.len();
    live.started = Some(Instant::now());
    live.sender.send(Event::Queued { ahead: 0 });
    live.sender.send(Event::Started { cached_tokens: 0 });
    live.sender.send(Event::Prefill { done: total, total });
    let most = live.request.max_tokens.unwrap_or(usize::MAX).min(options.context_tokens - total);
    for (count, id) in (options.script)(&live.request).into_iter().enumerate() {
        if live.sender.is_cancelled() {
            return live.finish(FinishReason::Cancelled, None);
        }
        if count == most {
            return live.finish(FinishReason::Length, None);
        }
        std::thread::sleep(options.pace);
        live.first_token.get_or_insert_with(Instant::now);
        if live.request.stop_tokens.contains(&id) {
            return live.finish(FinishReason::Stop, Some(id));
        }
        live.tokens.push(id);
        live.sender.send(Event::Token(Token {
            id,
            logprob: live.request.sampling.logprobs.map(|_| 0.0),
            top: Vec::new(),
        }));
    }
    live.finish(FinishReason::Stop, None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    #[test]
    fn a_script_ends_as_an_answer_does() {
        let script: Script = Arc::new(|request| vec![request.tokens[0] + 1, 5, 6, 7]);
        let options = ScriptedOptions { script, context_tokens: 100, vocabulary: 10, pace: Duration::ZERO };
        let engine = Engine::scripted(options);
        let ask = |max_tokens, stop_tokens: &[u32]| {
            let stop_tokens = stop_tokens.to_vec();
            let request = Request { tokens: vec![1, 2], max_tokens, stop_tokens, ..Request::default() };
            let events: Vec<Event> = engine.submit(request).expect("it fits").collect();
            let id = |event: &Event| if let Event::Token(token) = event { Some(token.id) } else { None };
            let ids: Vec<u32> = events.iter().filter_map(id).collect();
            let Some(Event::Finished(end)) = events.last() else { panic!("no end: {events:?}") };
            (ids, end.reason, end.usage.answer_tokens)
        };
        assert_eq!(ask(None, &[]), (vec![2, 5, 6, 7], FinishReason::Stop, 4));
        assert_eq!(ask(Some(2), &[]), (vec![2, 5], FinishReason::Length, 2));
        assert_eq!(ask(None, &[6]), (vec![2, 5], FinishReason::Stop, 3));
        assert!(engine.submit(Request { tokens: vec![11], ..Request::default() }).is_err());
    }
}
