//! The engine's thread: `admit → schedule → run → sample → emit`, over plain state that it alone owns.
//!
//! Invariant: between two steps, every running request's tokens but the last of its answer are in the cache or
//! pending; whole blocks that are computed are in the prefix index. Read next: `cached.rs`, `saved.rs`, `live.rs`.

mod cached;
mod pick;
mod saved;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};

use olivine_lm::cache::{PAGE_TOKENS, REWIND_TOKENS};
use olivine_lm::logits::Logits;
use olivine_lm::model::{Model, Outputs, Work};
use olivine_lm::sampling::Choice;
use olivine_lm::spec::KvGroup;

use self::pick::{Chosen, Pick};
use crate::constraint::Guide;
use crate::disk::Store;
use crate::live::{Live, identity};
use crate::prefix::PrefixIndex;
use crate::scheduler::{Candidate, Scheduler};
use crate::shared::{Command, EngineOptions, Shared};
use crate::speculation::{Drafter, Guess};
use crate::types::{Event, Failure, FailureKind, FinishReason, Pooling, Task, Token};

pub(crate) struct Worker {
    model: Model,
    options: EngineOptions,
    kv_bytes: usize,
    groups: Vec<KvGroup>,
    page_bytes: Vec<usize>,
    state_len: usize,
    index: PrefixIndex,
    store: Option<Store>,
    drafter: Option<Drafter>,
    scheduler: Scheduler,
    waiting: Vec<Live>,
    running: Vec<Live>,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    /// Last prompts by identity, for [`Probe::first_difference`].
    last_prompts: HashMap<String, Vec<u32>>,
    speed: Speed,
    reported: Option<Instant>,
    /// No more requests are taken.
    closing: bool,
    /// The device went away under the model.
    is_lost: bool,
}

/// A part of the next step: index of a running request, rows, whether its logits are wanted, whether it decodes.
#[derive(Clone, Copy)]
struct Slice {
    index: usize,
    rows: usize,
    samples: bool,
    decodes: bool,
}

/// How often the status is made anew while requests run.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// Tokens between two checkpoints of a recurrent state.
const CHECKPOINT_TOKENS: usize = 512;

impl Worker {
    pub fn new(
        mut model: Model,
        draft: Option<Model>,
        options: EngineOptions,
        kv_bytes: usize,
        commands: mpsc::Receiver<Command>,
        shared: Arc<Shared>,
    ) -> Worker {
        let cache = model.cache();
        let groups: Vec<KvGroup> = cache.groups().collect();
        let page_bytes = (0..groups.len()).map(|group| cache.page_bytes(group)).collect();
        let state_len = cache.state_len();
        Worker {
            index: PrefixIndex::new(groups.clone(), state_len > 0),
            store: None,
            drafter: draft.map(Drafter::new),
            scheduler: Scheduler::new(options.scheduler.clone()),
            model,
            options,
            kv_bytes,
            groups,
            page_bytes,
            state_len,
            waiting: Vec::new(),
            running: Vec::new(),
            commands,
            shared,
            last_prompts: HashMap::new(),
            speed: Speed::default(),
            reported: None,
            closing: false,
            is_lost: false,
        }
    }

    /// Serve until the handle is gone, or until all is done after a shutdown.
    pub fn run(mut self) {
        self.open_store();
        loop {
            if !self.receive() {
                break;
            }
            self.drop_cancelled();
            self.forget_lost_records();
            if !self.waiting.is_empty() {
                // What comes now may be read from disk first.
                self.tell_all(f64::INFINITY);
            }
            self.admit();
            let slices = self.schedule();
            if slices.iter().any(|slice| !slice.decodes) {
                self.tell_all(f64::INFINITY);
            }
            if !slices.is_empty() {
                self.step(&slices);
                if self.is_lost {
                    return self.end("the device was lost; the model will be loaded again");
                }
            } else if self.closing && self.waiting.is_empty() {
                break;
            }
            self.report();
        }
        self.end("the engine was closed");
    }

    /// All that is left fails.
    fn end(mut self, message: &str) {
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command);
        }
        for live in self.waiting.drain(..).chain(self.running.drain(..)) {
            fail(&live, FailureKind::Closed, message.into());
        }
    }

    /// Take commands, waiting for one when there is nothing else to do. False when the handle is gone.
    fn receive(&mut self) -> bool {
        if self.running.is_empty() && self.waiting.is_empty() && !self.closing {
            let touched = self.make_pages_ahead();
            match touched.map_or_else(|| self.commands.recv().ok(), Some) {
                Some(command) => self.obey(command),
                None => return false,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(mpsc::TryRecvError::Empty) => return true,
                Err(mpsc::TryRecvError::Disconnected) => return self.closing,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(live) => {
                live.sender.send(Event::Queued { ahead: self.waiting.len() });
                self.waiting.push(*live);
                self.waiting.sort_by_key(|live| (std::cmp::Reverse(live.request.priority), live.id));
            }
            // Whoever asked may have gone; that is their business.
            Command::Probe { request, adapter, answer } => {
                let identity = identity(adapter.as_deref(), &request.cache_salt);
                drop(answer.send(self.probe(&identity, &request.tokens)));
            }
            Command::ClearCache { answer } => drop(answer.send(self.clear_cache())),
            Command::Shutdown => self.closing = true,
        }
    }

    fn drop_cancelled(&mut self) {
        let (gone, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|live| live.sender.is_cancelled());
        self.waiting = waiting;
        for mut live in gone {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            live.finish(FinishReason::Cancelled, None);
        }
        for index in (0..self.running.len()).rev() {
            if self.running[index].sender.is_cancelled() {
                self.finish(index, FinishReason::Cancelled, None);
            }
        }
    }
}

/// A step.
impl Worker {
    fn schedule(&mut self) -> Vec<Slice> {
        self.guess();
        self.join_prefixes();
        let candidate = |live: &Live| Candidate {
            pending: live.pending() + live.guesses.len(),
            decoding: live.is_decoding(),
            priority: live.request.priority,
            arrival: live.id,
        };
        let indices: Vec<usize> = (0..self.running.len()).filter(|&index| !self.is_being_computed(index)).collect();
        let candidates: Vec<_> = indices.iter().map(|&index| candidate(&self.running[index])).collect();
        let plan = self.scheduler.plan(&candidates);
        let mut slices: Vec<Slice> = plan
            .into_iter()
            .map(|(candidate, rows)| {
                let index = indices[candidate];
                let live = &self.running[index];
                let rows = self.cut(live, rows);
                Slice { index, rows, samples: rows >= live.pending(), decodes: live.is_decoding() }
            })
            .collect();
        slices.sort_by_key(|slice| slice.index);
        while !self.fits(&slices) {
            if self.drafter.as_mut().is_some_and(|drafter| drafter.used_bytes() > 0) {
                self.drafter.iter_mut().for_each(Drafter::clear);
                continue;
            }
            let Some(victim) = self.victim() else {
                // Even alone it has outgrown the memory.
                (0..self.running.len()).rev().for_each(|index| self.finish(index, FinishReason::Length, None));
                return Vec::new();
            };
            self.set_back(victim);
            slices.retain(|slice| slice.index != victim);
            slices.iter_mut().filter(|slice| slice.index > victim).for_each(|slice| slice.index -= 1);
        }
        slices
    }

    /// Recurrent states can only be kept where a step ends: end it at the points where prompts will be resumed.
    fn cut(&self, live: &Live, rows: usize) -> usize {
        let (computed, prompt) = (live.computed(), live.request.tokens.len());
        if self.state_len == 0 || live.is_decoding() {
            return rows;
        }
        let regular = (computed / CHECKPOINT_TOKENS + 1) * CHECKPOINT_TOKENS;
        let mut ends = vec![regular];
        if prompt - 1 > live.checkpoint + 2 * PAGE_TOKENS {
            ends.push(prompt - 1);
        }
        let end = ends.into_iter().filter(|&end| end > computed).min().unwrap_or(usize::MAX);
        rows.min(end - computed)
    }

    fn fits(&mut self, slices: &[Slice]) -> bool {
        let (cache, running) = (self.model.cache(), &self.running);
        let mut bytes = 0;
        for slice in slices {
            let sequence = running[slice.index].sequence.as_ref().expect("a running request has a sequence");
            for (group, page_bytes) in self.page_bytes.iter().enumerate() {
                bytes += page_bytes * cache.pages_needed(sequence, group, slice.rows);
            }
        }
        self.make_room(bytes)
    }

    /// Who is set back when memory runs out: of the lowest priority the youngest, but never the last one running.
    fn victim(&self) -> Option<usize> {
        let order = |index: &usize| {
            let live = &self.running[*index];
            (std::cmp::Reverse(live.request.priority), live.id)
        };
        if self.running.len() < 2 { None } else { (0..self.running.len()).max_by_key(order) }
    }

    /// Let a request wait again; it will be computed anew, to the same bits.
    fn set_back(&mut self, index: usize) {
        let mut live = self.running.remove(index);
        self.count(|status| status.preempted += 1);
        self.let_go(&mut live);
        live.sender.send(Event::Prefill { done: 0, total: live.tokens.len() });
        self.waiting.insert(0, live);
    }

    fn step(&mut self, slices: &[Slice]) {
        if let Some(hook) = &self.options.on_step {
            let rows: Vec<_> = slices.iter().map(|slice| (self.running[slice.index].id, slice.rows)).collect();
            let hook = hook.clone();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| hook(&rows))) {
                return self.fail_step(slices, &panic_message(&*panic));
            }
        }
        let began = Instant::now();
        let computed = self.compute(slices).and_then(|(logits, hidden)| Ok((self.choose(slices, logits)?, hidden)));
        match computed {
            Ok((choices, hidden)) => {
                self.observe(slices, began.elapsed().as_secs_f64());
                self.emit(slices, choices, &hidden);
            }
            Err(message) => {
                // What the failed step recorded for a GPU must not run with the next one.
                olivine_lm::discard_recorded();
                self.is_lost = self.model.is_lost();
                self.fail_step(slices, &message);
            }
        }
    }

    /// The model's part of a step: logits of the rows that are sampled, hidden states of those that are embedded. An
    /// error is the message of a panic.
    fn compute(&mut self, slices: &[Slice]) -> Result<(Option<Logits>, Vec<f32>), String> {
        let mut slots: Vec<Option<Slice>> = vec![None; self.running.len()];
        slices.iter().for_each(|slice| slots[slice.index] = Some(*slice));
        let guessed = |live: &Live| [&live.tokens[live.tokens.len() - 1..], &live.guesses].concat();
        let guessed: Vec<Vec<u32>> = self.running.iter().map(guessed).collect();
        let (mut answering, mut embedded, mut guides) = (Vec::new(), Vec::new(), Vec::new());
        for ((live, slice), guessed) in self.running.iter_mut().zip(&slots).zip(&guessed) {
            let Some(slice) = slice else { continue };
            let computed = live.computed();
            let has_guesses = !live.guesses.is_empty();
            let Live { sequence, tokens, guide, request, .. } = live;
            if let Some(guide) = guide.as_mut().filter(|_| slice.samples) {
                guides.push((guide, &request.stop_tokens[..]));
            }
            let last = match slice.samples {
                true if has_guesses => Outputs::All,
                true => Outputs::Last,
                false => Outputs::None,
            };
            let tokens = if has_guesses { &guessed[..] } else { &tokens[computed..computed + slice.rows] };
            let (list, outputs) = match &request.task {
                Task::Generate | Task::Score(_) | Task::Classify { .. } => (&mut answering, last),
                Task::Embed(options) if options.pooling == Pooling::Last => (&mut embedded, last),
                Task::Embed(_) => (&mut embedded, Outputs::All),
            };
            let sequence = sequence.as_mut().expect("a running request has a sequence");
            list.push(Work { sequence, tokens, outputs });
        }
        let model = &mut self.model;
        let both = || {
            std::thread::scope(|scope| {
                // Masks depend on tokens that are known already, so they are made beside the forward pass.
                let masks =
                    |guides: Vec<(&mut Guide, &[u32])>| guides.into_iter().for_each(|(g, stop)| g.prepare(stop));
                let masks = (!guides.is_empty()).then(|| scope.spawn(move || masks(guides)));
                let logits = if answering.is_empty() { None } else { Some(model.logits(&mut answering)) };
                let hidden = if embedded.is_empty() { Vec::new() } else { model.hidden(&mut embedded) };
                if let Some(Err(panic)) = masks.map(|masks| masks.join()) {
                    std::panic::resume_unwind(panic);
                }
                (logits, hidden)
            })
        };
        catch_unwind(AssertUnwindSafe(both)).map_err(|panic| panic_message(&*panic))
    }

    /// Hand out what a step gave.
    fn emit(&mut self, slices: &[Slice], choices: Vec<Chosen>, hidden: &[f32]) {
        let width = self.model.spec().hidden;
        let context = self.model.context_tokens();
        let mut hidden = hidden.chunks_exact(width);
        let mut choices = choices.into_iter();
        let (mut ended, mut answer_tokens) = (Vec::new(), 0);
        for slice in slices {
            let live = &mut self.running[slice.index];
            if let Task::Embed(options) = &live.request.task {
                let all = options.pooling != Pooling::Last;
                let rows = if all { slice.rows } else { usize::from(slice.samples) };
                let options = options.clone();
                live.pool(&options, hidden.by_ref().take(rows));
                if slice.samples {
                    let vector = live.embedding(&options);
                    live.sender.send(Event::Embedding(vector));
                    ended.push((slice.index, End::Finish(FinishReason::Stop, None)));
                } else {
                    live.report_prefill();
                }
            } else if !slice.samples {
                live.report_prefill();
            } else {
                let before = live.tokens.len();
                let chosen = choices.next().expect("[engine] a choice for every sampled sequence");
                if let Some(end) = settle(live, chosen, context) {
                    ended.push((slice.index, end));
                }
                answer_tokens += live.tokens.len() - before;
                self.take_back(slice.index, before);
            }
            self.record(slice.index);
        }
        let decoding: usize = slices.iter().filter(|slice| slice.decodes).map(|slice| slice.rows).sum();
        self.tell_all(self.scheduler.decode_estimate(decoding).unwrap_or(f64::INFINITY));
        self.speed.tokens += answer_tokens as f64;
        self.count(|status| status.answer_tokens += answer_tokens as u64);
        for (index, end) in ended.into_iter().rev() {
            match end {
                End::Finish(reason, stop_token) => self.finish(index, reason, stop_token),
                End::Fail(kind, message) => self.fail_one(index, kind, message),
            }
        }
    }

    /// Wake those whose tokens should not wait for the next step, which is so long.
    fn tell_all(&mut self, next_seconds: f64) {
        self.running.iter_mut().for_each(|live| live.tell(next_seconds));
    }

    /// Guess the next tokens of answers, as long as rows are nearly free.
    fn guess(&mut self) {
        let Some(options) = self.options.speculation.clone().filter(|_| self.state_len == 0) else { return };
        let context = self.model.context_tokens();
        let decoding = self.running.iter().filter(|live| live.is_decoding()).count();
        let mut rows = options.max_rows.saturating_sub(decoding);
        let mut wanted = Vec::new();
        for (index, live) in self.running.iter_mut().enumerate() {
            live.guesses.clear();
            if !live.is_decoding() || live.guide.is_some() {
                continue;
            }
            let most = live.pace.guesses(options.max_tokens.min(REWIND_TOKENS - 1).min(live.room(context)).min(rows));
            if most == 0 {
                continue;
            }
            let found = if options.lookup { live.lookup.guess(&live.tokens, most) } else { &[] };
            live.guesses = found.to_vec();
            if found.is_empty() && self.drafter.is_some() {
                rows -= most;
                wanted.push((index, most));
            } else {
                rows -= live.guesses.len();
            }
        }
        self.draft(&wanted);
    }

    /// Let the small model guess so many tokens for each of these, if there is memory for its cache.
    fn draft(&mut self, wanted: &[(usize, usize)]) {
        let Some(mut drafter) = self.drafter.take() else { return };
        let needed = drafter.needed_bytes(&guesses_of(&self.running, wanted));
        // While the drafter is taken out, what it holds has to be counted apart.
        if wanted.is_empty() || !self.make_room(needed + drafter.used_bytes()) {
            self.drafter = Some(drafter);
            return;
        }
        let guesses = guesses_of(&self.running, wanted);
        // Guesses are not worth a failed request: after a panic it goes on without them.
        let Ok(guesses) = catch_unwind(AssertUnwindSafe(|| drafter.guess(&guesses))) else { return };
        wanted.iter().zip(guesses).for_each(|(&(index, _), guesses)| self.running[index].guesses = guesses);
        self.drafter = Some(drafter);
    }

    /// Drop from the cache what was guessed wrong; `before`: tokens before the step.
    fn take_back(&mut self, index: usize, before: usize) {
        let live = &mut self.running[index];
        let guessed = std::mem::take(&mut live.guesses).len();
        if guessed == 0 {
            return;
        }
        // The last token that was chosen is no guess.
        let right = (live.tokens.len() - before).saturating_sub(1).min(guessed);
        live.pace.learn(guessed, right);
        live.usage.drafted_tokens += guessed;
        live.usage.accepted_tokens += right;
        let valid = live.tokens.len().min(before + right);
        let sequence = live.sequence.as_mut().expect("a running request has a sequence");
        let possible = self.model.cache().truncate(sequence, valid);
        assert!(possible, "[engine] {valid} tokens are too far back for the cache");
        self.count(|status| {
            status.drafted_tokens += guessed as u64;
            status.accepted_tokens += right as u64;
        });
    }

    /// Choose all sampled requests' next tokens: from the heads of their rows where the rows are on a GPU, else on all
    /// cores, for over a large vocabulary it takes a while. An error is the message of a panic.
    fn choose(&mut self, slices: &[Slice], logits: Option<Logits>) -> Result<Vec<Chosen>, String> {
        let Some(logits) = logits else { return Ok(Vec::new()) };
        let mut slots: Vec<bool> = vec![false; self.running.len()];
        slices.iter().filter(|slice| slice.samples).for_each(|slice| slots[slice.index] = true);
        let mut picks = Vec::new();
        for (live, _) in self.running.iter_mut().zip(&slots).filter(|(_, sampled)| **sampled) {
            if let Task::Embed(_) = live.request.task {
                continue;
            }
            let mask = live.guide.as_mut().map_or(Ok(None), Guide::take_mask);
            picks.push(Pick::new(live, mask));
        }
        let choose = || {
            let mut asks = Vec::with_capacity(logits.count());
            picks.iter().for_each(|pick| pick.ask(&mut asks));
            let mut early = logits.choose_by_heads(&asks).into_iter();
            drop(asks);
            let mut first = 0;
            for pick in &mut picks {
                pick.first_row = first;
                first += pick.rows();
                pick.early = early.by_ref().take(pick.rows()).collect();
            }
            olivine_lm::pool()
                .run_chunks(&mut picks, 1, |_, picks| picks.iter_mut().for_each(|pick| pick.settle(&logits)));
        };
        catch_unwind(AssertUnwindSafe(choose)).map_err(|panic| panic_message(&*panic))?;
        Ok(picks.into_iter().map(|pick| pick.chosen.expect("[engine] every pick was worked on")).collect())
    }

    fn observe(&mut self, slices: &[Slice], seconds: f64) {
        let decode_rows: usize = slices.iter().filter(|slice| slice.decodes).map(|slice| slice.rows).sum();
        let all: usize = slices.iter().map(|slice| slice.rows).sum();
        self.scheduler.observe(decode_rows, all - decode_rows, seconds);
        self.speed.pass(seconds);
        self.count(|status| {
            status.steps += 1;
            status.prefilled_tokens += (all - decode_rows) as u64;
        });
    }

    /// The requests of a step that panicked fail; nothing of that step is kept.
    fn fail_step(&mut self, slices: &[Slice], message: &str) {
        self.count(|status| status.panics += 1);
        let mut indices: Vec<usize> = slices.iter().map(|slice| slice.index).collect();
        indices.sort_unstable();
        for index in indices.into_iter().rev() {
            let mut live = self.running.remove(index);
            self.let_go(&mut live);
            self.count(|status| status.finished += 1);
            fail(&live, FailureKind::Internal, message.into());
        }
    }

    fn finish(&mut self, index: usize, reason: FinishReason, stop_token: Option<u32>) {
        self.record_tail(index);
        self.save(index, true);
        let mut live = self.running.remove(index);
        self.let_go(&mut live);
        self.count(|status| status.finished += 1);
        live.finish(reason, stop_token);
    }

    fn fail_one(&mut self, index: usize, kind: FailureKind, message: String) {
        self.record_tail(index);
        let mut live = self.running.remove(index);
        self.let_go(&mut live);
        self.count(|status| status.finished += 1);
        fail(&live, kind, message);
    }

    /// Give back what a request holds in the cache.
    fn let_go(&mut self, live: &mut Live) {
        live.pooled.clear();
        live.guesses.clear();
        if let Some(drafter) = &mut self.drafter {
            drafter.release(live.id);
        }
        if let Some(sequence) = live.sequence.take() {
            self.model.cache().release(sequence);
            self.index.unpin(live.node);
        }
    }

    fn count(&self, change: impl FnOnce(&mut crate::shared::Status)) {
        change(&mut self.shared.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn report(&mut self) {
        let idle = self.running.is_empty() && self.waiting.is_empty();
        if !idle && self.reported.is_some_and(|at| at.elapsed() < REPORT_INTERVAL) {
            return;
        }
        self.reported = Some(Instant::now());
        let used = self.used_bytes();
        let cached = self.cached_bytes();
        let speed = self.speed.tokens_per_second();
        self.count(|status| {
            status.running = self.running.len();
            status.kv_bytes_used = used;
            status.kv_bytes_cached = cached;
            status.kv_bytes_budget = self.kv_bytes;
            status.blocks = self.index.blocks_in_memory();
            status.disk_blocks = self.index.blocks_on_disk();
            if let Some(store) = &self.store {
                status.disk_bytes = store.bytes();
                status.disk_error = store.last_error().map(String::from);
            }
            status.tokens_per_second = speed;
            status.device_bytes_used = olivine_lm::gpu_counters().map_or(0, |counters| counters.allocated_bytes);
        });
    }
}

/// What a small model is asked: indices of running requests, and how many tokens of each.
fn guesses_of<'a>(running: &'a [Live], wanted: &[(usize, usize)]) -> Vec<Guess<'a>> {
    let guess = |&(index, most): &(usize, usize)| {
        let Live { id, tokens, request, .. } = &running[index];
        Guess { id: *id, tokens, sampling: &request.sampling, most }
    };
    wanted.iter().map(guess).collect()
}

/// How a request ends.
enum End {
    Finish(FinishReason, Option<u32>),
    Fail(FailureKind, String),
}

/// Send what was chosen for a request; how it ends, if it does.
fn settle(live: &mut Live, chosen: Chosen, context: usize) -> Option<End> {
    live.first_token.get_or_insert_with(Instant::now);
    let choices = match chosen {
        Chosen::Tokens(choices) => choices,
        Chosen::Nothing(problem) => return Some(End::Fail(FailureKind::Constraint, problem)),
        Chosen::Scores(scores) => {
            live.sender.send(Event::Embedding(scores));
            return Some(End::Finish(FinishReason::Stop, None));
        }
    };
    if live.request.max_tokens == Some(0) {
        return Some(End::Finish(FinishReason::Length, None));
    }
    choices.into_iter().find_map(|choice| take_token(live, choice, context))
}

/// Add a token to a request's answer and send it; how the answer ends, if it does.
fn take_token(live: &mut Live, choice: Choice, context: usize) -> Option<End> {
    if live.request.stop_tokens.contains(&choice.token) {
        return Some(End::Finish(FinishReason::Stop, Some(choice.token)));
    }
    live.tokens.push(choice.token);
    let (logprob, top) = choice.logprobs.map_or((None, Vec::new()), |(own, top)| (Some(own), top));
    live.sender.push(Event::Token(Token { id: choice.token, logprob, top }));
    live.untold = true;
    if let Some(guide) = &mut live.guide {
        match guide.accept(&live.tokens[live.request.tokens.len()..]) {
            Ok(true) => return Some(End::Finish(FinishReason::Stop, None)),
            Ok(false) => {}
            Err(problem) => return Some(End::Fail(FailureKind::Constraint, problem)),
        }
    }
    let full = live.tokens.len() >= context || live.request.max_tokens.is_some_and(|most| live.answer_tokens() >= most);
    full.then_some(End::Finish(FinishReason::Length, None))
}

pub(crate) fn fail(live: &Live, kind: FailureKind, message: String) {
    live.sender.send(Event::Failed(Failure { kind, message }));
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a step panicked").to_string()
}

/// Tokens and seconds of the last steps, older ones counting less.
#[derive(Default)]
struct Speed {
    tokens: f64,
    seconds: f64,
}

impl Speed {
    fn pass(&mut self, seconds: f64) {
        let keep = (-seconds / 5.0).exp();
        self.tokens *= keep;
        self.seconds = self.seconds * keep + seconds;
    }

    fn tokens_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.tokens / self.seconds } else { 0.0 }
    }
}
