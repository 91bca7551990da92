//! Which sequence gets how many rows of the next step. Pure: times go in by [`Scheduler::observe`], no clock, no tensor.
//!
//! Sequences that decode get a row in every step. Prompts get what a budget of time allows: each step in which somebody
//! decodes earns prefill time in the ratio of `decode_share`, and a piece of a prompt is run when its measured price
//! has been earned. Short prompts may borrow, so that a new short request is answered soon; long ones pay it back.
//! Invariant: the answer of a request never depends on what is decided here. Read next: `worker.rs`.

/// Knobs of the scheduler.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerOptions {
    /// The share of its solo speed that a decoding sequence keeps while prompts are prefilled, 0 to 1.
    pub decode_share: f64,
    /// A step with prefill takes about so long at most, in seconds; new requests wait no longer than that.
    pub step_seconds: f64,
    /// Most rows of prompts in a step.
    pub max_rows: usize,
    /// Fewest rows of a prompt worth a step while others decode.
    pub min_rows: usize,
}

impl Default for SchedulerOptions {
    fn default() -> SchedulerOptions {
        SchedulerOptions { decode_share: 0.75, step_seconds: 0.25, max_rows: 512, min_rows: 16 }
    }
}

/// A sequence as the scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Tokens that are not computed yet; one (and drafted ones) when it decodes.
    pub pending: usize,
    /// It has its prompt behind it: all pending tokens are run at once.
    pub decoding: bool,
    /// Higher ones first.
    pub priority: i32,
    /// Lower ones first.
    pub arrival: u64,
}

/// Decides, and learns what steps cost.
#[derive(Debug)]
pub struct Scheduler {
    options: SchedulerOptions,
    /// Seconds of a step of so many decoding rows and nothing else.
    decode_seconds: Vec<Option<f64>>,
    /// The same of steps beside which no prompt waited: after a piece of a prompt the processor's caches are cold, and what
    /// that costs is the prompt's.
    solo_seconds: Vec<Option<f64>>,
    /// A prompt waited when the last step was planned.
    beside_prompts: bool,
    /// Seconds that a row of a prompt adds to a step.
    row_seconds: Option<f64>,
    /// Earned seconds of prefill; negative when borrowed.
    credit: f64,
    turn: usize,
}

/// A prompt of at most so many seconds is short: it may borrow.
const SHORT_SECONDS: f64 = 0.4;
/// So much may be borrowed in all.
const DEBT_SECONDS: f64 = 1.0;
/// Rows of a first step, before anything is measured.
const FIRST_ROWS: usize = 128;
/// How much slower a step is taken to be on a prompt's account, at most.
const MOST_SLOWED: f64 = 1.25;
/// Weight of a new measurement.
const LEARN: f64 = 0.2;

impl Scheduler {
    /// Nothing is known yet.
    pub fn new(options: SchedulerOptions) -> Scheduler {
        Scheduler {
            options,
            decode_seconds: Vec::new(),
            solo_seconds: Vec::new(),
            beside_prompts: false,
            row_seconds: None,
            credit: 0.0,
            turn: 0,
        }
    }

    /// The next step: candidates and rows, decoding ones first. Empty only without candidates.
    pub fn plan(&mut self, candidates: &[Candidate]) -> Vec<(usize, usize)> {
        let decoding = |c: &&Candidate| c.decoding;
        let decode_rows: usize = candidates.iter().filter(decoding).map(|c| c.pending).sum();
        let mut plan: Vec<_> =
            candidates.iter().enumerate().filter(|(_, c)| c.decoding).map(|(index, c)| (index, c.pending)).collect();
        let mut prompts: Vec<usize> = (0..candidates.len()).filter(|&index| !candidates[index].decoding).collect();
        self.beside_prompts = !prompts.is_empty();
        if prompts.is_empty() {
            return plan;
        }
        prompts.sort_by_key(|&index| {
            let c = &candidates[index];
            (std::cmp::Reverse(c.priority), !self.is_short(c), c.arrival)
        });
        let rows = self.prompt_rows(candidates, &prompts, decode_rows);
        self.turn += 1;
        plan.extend(self.share(candidates, &prompts, rows));
        plan
    }

    /// Learn from a step: its decoding rows, its rows of prompts, and how long it took.
    pub fn observe(&mut self, decode_rows: usize, prompt_rows: usize, seconds: f64) {
        let alone = self.decode_estimate(decode_rows);
        if prompt_rows == 0 {
            if self.decode_seconds.len() <= decode_rows {
                self.decode_seconds.resize(decode_rows + 1, None);
                self.solo_seconds.resize(decode_rows + 1, None);
            }
            learn(&mut self.decode_seconds[decode_rows], seconds);
            if !self.beside_prompts {
                learn(&mut self.solo_seconds[decode_rows], seconds);
            }
        } else {
            let extra = (seconds - alone.unwrap_or(0.0)).max(0.05 * seconds);
            learn(&mut self.row_seconds, extra / prompt_rows as f64);
        }
        if decode_rows == 0 {
            self.credit = 0.0;
            return;
        }
        // A stalled machine must not be taken for earned time.
        let base = alone.map_or(seconds, |recent| self.solo_estimate(decode_rows, recent)).min(seconds);
        let share = self.options.decode_share.clamp(0.01, 1.0);
        self.credit += base * (1.0 - share) / share - (seconds - base).min(4.0 * self.options.step_seconds);
        self.credit = self.credit.clamp(-2.0 * DEBT_SECONDS, self.options.step_seconds);
    }

    /// Seconds until `rows` of prompts are computed when nobody decodes; none before anything was measured.
    pub fn prefill_estimate(&self, rows: usize) -> Option<f64> {
        self.row_seconds.map(|seconds| seconds * rows as f64)
    }

    /// Seconds of a step of `rows` decoding rows, from the nearest number that was measured.
    pub fn decode_estimate(&self, rows: usize) -> Option<f64> {
        let known = self.decode_seconds.iter().enumerate().filter_map(|(n, s)| s.map(|s| (n, s)));
        known.min_by_key(|(n, _)| n.abs_diff(rows)).map(|(_, seconds)| seconds)
    }

    /// What a step that takes `recent` beside prompts would take alone. Answers grow meanwhile, and that is no prompt's
    /// fault: only so much of a difference counts, so that prompts always earn something.
    fn solo_estimate(&self, rows: usize, recent: f64) -> f64 {
        let solo = self.solo_seconds.get(rows).copied().flatten().unwrap_or(recent);
        solo.clamp(recent / MOST_SLOWED, recent)
    }

    fn is_short(&self, candidate: &Candidate) -> bool {
        match self.row_seconds {
            Some(seconds) => candidate.pending as f64 * seconds <= SHORT_SECONDS,
            None => candidate.pending <= FIRST_ROWS,
        }
    }

    /// Rows of all prompts together.
    fn prompt_rows(&self, candidates: &[Candidate], prompts: &[usize], decode_rows: usize) -> usize {
        let options = &self.options;
        let Some(row_seconds) = self.row_seconds else { return FIRST_ROWS.min(options.max_rows) };
        let in_time = |seconds: f64| (seconds / row_seconds) as usize;
        let most = in_time(options.step_seconds).clamp(options.min_rows.min(options.max_rows), options.max_rows);
        if decode_rows == 0 {
            return most;
        }
        let earned = in_time(self.credit.max(0.0));
        let affordable = if earned >= options.min_rows { earned.min(most) } else { 0 };
        let short = prompts.iter().map(|&index| &candidates[index]).filter(|c| self.is_short(c));
        let wanted: usize = short.map(|c| c.pending).sum();
        let borrowed = in_time((self.credit + DEBT_SECONDS).max(0.0));
        affordable.max(wanted.min(most).min(borrowed))
    }

    /// Prompts in their order, but when several wait, one after the other gets a quarter first, so that nobody starves.
    fn share(&self, candidates: &[Candidate], prompts: &[usize], rows: usize) -> Vec<(usize, usize)> {
        let mut given = vec![0; prompts.len()];
        let mut left = rows;
        if prompts.len() > 1 && rows >= 4 {
            let turn = self.turn % prompts.len();
            given[turn] = candidates[prompts[turn]].pending.min(rows / 4);
            left -= given[turn];
        }
        for (given, &index) in given.iter_mut().zip(prompts) {
            let more = (candidates[index].pending - *given).min(left);
            *given += more;
            left -= more;
        }
        prompts.iter().copied().zip(given).filter(|(_, rows)| *rows > 0).collect()
    }
}

/// Move an estimate towards a measurement; one that is far off (a stalled machine) moves it little.
fn learn(estimate: &mut Option<f64>, measured: f64) {
    *estimate = Some(match *estimate {
        None => measured,
        Some(old) => old + LEARN * (measured.clamp(old / 4.0, old * 4.0) - old),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with fixed prices: 10 ms a decode step, 1 ms a row of a prompt.
    fn seconds(decode_rows: usize, prompt_rows: usize) -> f64 {
        0.010 + 0.0005 * decode_rows as f64 + 0.001 * prompt_rows as f64
    }

    fn decoding(arrival: u64) -> Candidate {
        Candidate { pending: 1, decoding: true, priority: 0, arrival }
    }

    fn prompt(pending: usize, arrival: u64) -> Candidate {
        Candidate { pending, decoding: false, priority: 0, arrival }
    }

    /// Run until the prompt at `watched` is done or `limit` seconds have passed; seconds, steps and decoded rows.
    fn simulate(
        scheduler: &mut Scheduler,
        candidates: &mut [Candidate],
        watched: usize,
        limit: f64,
    ) -> (f64, usize, usize) {
        let (mut time, mut steps, mut decoded) = (0.0, 0, 0);
        while candidates[watched].pending > 0 && time < limit {
            let plan = scheduler.plan(candidates);
            assert!(!plan.is_empty(), "candidates are never left without a step");
            let (mut decode_rows, mut prompt_rows) = (0, 0);
            for &(index, rows) in &plan {
                assert!(rows > 0 && rows <= candidates[index].pending);
                if candidates[index].decoding {
                    decode_rows += rows;
                } else {
                    prompt_rows += rows;
                    candidates[index].pending -= rows;
                }
            }
            let took = seconds(decode_rows, prompt_rows);
            assert!(took < 0.3, "a step of {took} s");
            scheduler.observe(decode_rows, prompt_rows, took);
            time += took;
            steps += 1;
            decoded += decode_rows;
        }
        (time, steps, decoded)
    }

    fn warm() -> Scheduler {
        let mut scheduler = Scheduler::new(SchedulerOptions::default());
        for _ in 0..20 {
            scheduler.observe(1, 0, seconds(1, 0));
            scheduler.observe(0, 100, seconds(0, 100));
        }
        scheduler
    }

    #[test]
    fn a_decoding_neighbour_keeps_its_share_during_a_long_prompt() {
        let mut candidates = [decoding(0), prompt(32_000, 1)];
        let (time, _, decoded) = simulate(&mut warm(), &mut candidates, 1, 1e9);
        let share = decoded as f64 / time * seconds(1, 0);
        assert!((0.72..0.82).contains(&share), "{share}");
        assert_eq!(candidates[1].pending, 0, "and the prompt gets done");
    }

    #[test]
    fn what_a_prompt_costs_the_steps_behind_it_is_paid_by_it() {
        let solo = seconds(1, 0);
        for (slowed, least) in [(1.15, 0.72), (1.25, 0.70), (2.0, 0.40)] {
            let mut scheduler = Scheduler::new(SchedulerOptions::default());
            for _ in 0..20 {
                scheduler.plan(&[decoding(0)]);
                scheduler.observe(1, 0, solo);
                scheduler.observe(0, 100, seconds(0, 100));
            }
            let mut candidates = [decoding(0), prompt(8_000, 1)];
            let (mut time, mut decoded) = (0.0, 0);
            while candidates[1].pending > 0 {
                let plan = scheduler.plan(&candidates);
                let rows: usize = plan.iter().filter(|(index, _)| *index == 1).map(|(_, rows)| rows).sum();
                candidates[1].pending -= rows;
                let took = if rows == 0 { slowed * solo } else { seconds(1, rows) + (slowed - 1.0) * solo };
                scheduler.observe(1, rows, took);
                (time, decoded) = (time + took, decoded + 1);
                assert!(time < 1e4, "the prompt gets done");
            }
            let share = f64::from(decoded) / time * solo;
            assert!((least..0.85).contains(&share), "{slowed}: {share}");
        }
    }

    #[test]
    fn alone_a_prompt_takes_whole_steps() {
        let mut candidates = [prompt(4_000, 0)];
        let (time, steps, _) = simulate(&mut warm(), &mut candidates, 0, 1e9);
        assert!(steps <= 22 && time < 4.0 + 0.011 * steps as f64, "{steps} steps, {time} s");
    }

    #[test]
    fn a_short_request_is_prefilled_soon_beside_a_long_prompt_and_a_decoding_neighbour() {
        let mut scheduler = warm();
        let mut candidates = [decoding(0), prompt(32_000, 1), prompt(0, 2)];
        simulate(&mut scheduler, &mut candidates[..2], 1, 3.0);
        candidates[2].pending = 200;
        let (time, ..) = simulate(&mut scheduler, &mut candidates, 2, 1e9);
        assert!(time < 0.6, "{time} s");
    }

    #[test]
    fn a_stream_of_short_requests_does_not_starve_anyone() {
        let mut scheduler = warm();
        let mut candidates = vec![decoding(0), prompt(8_000, 1)];
        let (mut time, mut decoded) = (0.0, 0);
        for arrival in 2..3_000 {
            candidates.truncate(2);
            candidates.push(prompt(100, arrival));
            let (took, _, rows) = simulate(&mut scheduler, &mut candidates, 2, 0.6);
            time += took;
            decoded += rows;
            if candidates[1].pending == 0 {
                break;
            }
        }
        assert_eq!(candidates[1].pending, 0, "the long prompt gets done");
        let share = decoded as f64 / time * seconds(1, 0);
        assert!(share > 0.6, "{share}");
    }

    #[test]
    fn priority_comes_first_and_everyone_decodes_in_every_step() {
        let mut scheduler = warm();
        let urgent = Candidate { priority: 5, ..prompt(500, 9) };
        let candidates = [prompt(500, 1), urgent];
        let plan = scheduler.plan(&candidates);
        let rows = |index| plan.iter().find(|p| p.0 == index).map_or(0, |p| p.1);
        assert!(rows(1) > rows(0), "{plan:?}");
        let many: Vec<_> = (0..40).map(decoding).collect();
        assert_eq!(scheduler.plan(&many).len(), 40);
        assert!(scheduler.plan(&[]).is_empty());
    }
}
