//! From logits to a token: penalties, bias, temperature, the truncations, a draw by counter.
//!
//! Order: repetition, presence and frequency penalties; bias; temperature; top-k; typical-p; top-p; min-p; draw. The random
//! number of a token is a function of (seed, position) alone, so a text does not depend on what else is in the batch.
//! Read next: `draw.rs`, `logits.rs`.

use olivine_array::fast::greatest::{Head, MOST_VALUES, Question};
use olivine_kernels::top_k;

use crate::draw::{Candidates, most_likely_first};
use crate::sampling_options::SamplingOptions;

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// Natural logarithms of the model's probabilities (before temperature and truncation): the token's, then the
    /// most likely ones, where asked for.
    pub logprobs: Option<(f32, Vec<(u32, f32)>)>,
}

impl SamplingOptions {
    /// Choose the token at `position` of a sequence whose tokens so far are `history`. `logits`: `[vocabulary]`;
    /// they are changed.
    pub fn choose(&self, logits: &mut [f32], history: &[u32], position: usize) -> Choice {
        self.choose_among(logits, history, position, None)
    }

    /// [`SamplingOptions::choose`] among the tokens whose bits are set in `allowed` (32 to a word, at least one). The
    /// log-probabilities are the model's all the same.
    pub fn choose_among(
        &self,
        logits: &mut [f32],
        history: &[u32],
        position: usize,
        allowed: Option<&[u32]>,
    ) -> Choice {
        let report = self.logprobs.map(|count| (count, log_softmax(logits)));
        for change in self.changes(history, logits.len()) {
            let logit = &mut logits[change.token as usize];
            *logit = self.changed(&change, *logit);
        }
        if let Some(allowed) = allowed {
            for (token, logit) in logits.iter_mut().enumerate() {
                let word = allowed.get(token / 32).copied().unwrap_or(0);
                *logit = if word >> (token % 32) & 1 == 1 { *logit } else { f32::NEG_INFINITY };
            }
        }
        let token = match self.temperature == 0.0 {
            true => top_k::argmax(logits) as u32,
            false => self.draw(logits, uniform(self.seed, position as u64)),
        };
        let logprobs = report.map(|(count, logprobs)| (logprobs[token as usize], best(&logprobs, count)));
        Choice { token, logprobs }
    }

    /// What of a row [`SamplingOptions::choose_by_head`] needs; none when only the whole row will do.
    pub fn question(&self, history: &[u32], vocabulary: usize) -> Option<Question> {
        let is_greedy = self.temperature == 0.0;
        let is_cut = (1..=MOST_VALUES).contains(&self.top_k);
        if self.logprobs.is_some() || !is_greedy && !is_cut && (self.top_k > 0 || self.typical_p < 1.0) {
            return None;
        }
        let changes = self.changes(history, vocabulary);
        let factor = (!is_greedy && !is_cut).then(|| 1.0 / self.temperature);
        if changes.len() > MOST_CHANGES || factor.is_some_and(|factor| !factor.is_finite()) {
            return None;
        }
        let count = if is_greedy && changes.is_empty() { 1 } else { MOST_VALUES };
        Some(Question { count, factor, numbers: changes.iter().map(|change| change.token).collect() })
    }

    /// [`SamplingOptions::choose`] from the answer to [`SamplingOptions::question`]: the same token, or none when the head
    /// of the row does not decide it.
    pub fn choose_by_head(&self, head: &Head, history: &[u32], position: usize, vocabulary: usize) -> Option<Choice> {
        let changes = self.changes(history, vocabulary);
        let mut list = head.greatest.clone();
        let last = list.last().copied()?;
        let is_whole = list.len() >= vocabulary;
        // Changed logits move; what is behind the last one that is known stays out of sight.
        list.retain(|(token, _)| changes.binary_search_by_key(token, |change| change.token).is_err());
        let new: Vec<f32> = changes.iter().zip(&head.values).map(|(change, old)| self.changed(change, *old)).collect();
        let in_sight = |moved: &(u32, f32)| is_whole || most_likely_first(moved, &last).is_le();
        let moved = changes.iter().zip(&new).map(|(change, new)| (change.token, new + 0.0));
        list.extend(moved.filter(in_sight));
        if list.iter().any(|(_, logit)| logit.is_nan()) || new.iter().any(|logit| logit.is_nan()) {
            return None;
        }
        list.sort_unstable_by(most_likely_first);
        let &(first, max) = list.first()?;
        if self.temperature == 0.0 {
            return Some(Choice { token: first, logprobs: None });
        }
        let total = match head.sum {
            Some(sum) => self.total(sum, max, &head.values, &new)?,
            None => (0.0, 0.0),
        };
        let candidates = Candidates { head: &list, is_whole, total };
        let token = self.draw_from(candidates, uniform(self.seed, position as u64))?;
        Some(Choice { token, logprobs: None })
    }

    /// The sum of all weights relative to `max` when `old` logits become `new`, and how far off it may be.
    fn total(&self, (old_max, sum): (f32, f64), max: f32, old: &[f32], new: &[f32]) -> Option<(f64, f64)> {
        let weight = |logit: &f32| (f64::from(logit - old_max) / f64::from(self.temperature)).exp();
        let (gone, come): (f64, f64) = (old.iter().map(weight).sum(), new.iter().map(weight).sum());
        let scale = (f64::from(old_max - max) / f64::from(self.temperature)).exp();
        let total = (sum - gone + come) * scale;
        let error = (sum + come) * scale * DEVICE_ERROR;
        (total.is_finite() && error.is_finite() && total > error).then_some((total, error))
    }

    /// What penalties and bias change, by token.
    fn changes(&self, history: &[u32], vocabulary: usize) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        if self.repetition_penalty != 1.0 || self.presence_penalty != 0.0 || self.frequency_penalty != 0.0 {
            let mut seen = history[history.len().saturating_sub(self.penalty_tokens)..].to_vec();
            seen.sort_unstable();
            let runs = seen.chunk_by(|a, b| a == b);
            changes.extend(runs.map(|run| Change { token: run[0], seen: run.len(), bias: 0.0 }));
        }
        changes.extend(self.logit_bias.iter().map(|&(token, bias)| Change { token, seen: 0, bias }));
        changes.retain(|change| (change.token as usize) < vocabulary);
        changes.sort_by_key(|change| change.token);
        changes.dedup_by(|next, kept| {
            let same = next.token == kept.token;
            if same {
                kept.seen += next.seen;
                kept.bias += next.bias;
            }
            same
        });
        changes
    }

    fn changed(&self, change: &Change, logit: f32) -> f32 {
        let mut logit = logit;
        if change.seen > 0 {
            logit = if logit > 0.0 { logit / self.repetition_penalty } else { logit * self.repetition_penalty };
            logit -= self.presence_penalty + self.frequency_penalty * change.seen as f32;
        }
        logit + change.bias
    }
}

/// What happens to a token's logit before the draw.
struct Change {
    token: u32,
    /// How often it was seen lately.
    seen: usize,
    bias: f32,
}

/// Most changed logits that are asked for one by one.
const MOST_CHANGES: usize = 1024;

/// How far a device's sum of weights may be off, as a share: a bound with room, for it was seen within 1e-5.
const DEVICE_ERROR: f64 = 1e-4;

/// Natural logarithms of the softmax.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - max).exp()).sum();
    let offset = f64::from(max) + sum.ln();
    logits.iter().map(|logit| (f64::from(*logit) - offset) as f32).collect()
}

fn best(logprobs: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut list: Vec<_> = logprobs.iter().enumerate().map(|(token, p)| (token as u32, *p)).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if count > 0 && count < list.len() {
        list.select_nth_unstable_by(count - 1, order);
    }
    list.truncate(count);
    list.sort_unstable_by(order);
    list
}

/// A number in [0, 1) that depends on its arguments alone: SplitMix64's finalizer over seed and counter, twice.
fn uniform(seed: u64, counter: u64) -> f64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let step = 0x9e37_79b9_7f4a_7c15u64;
    let bits = mix(mix(seed.wrapping_add(step)).wrapping_add(counter.wrapping_mul(step)).wrapping_add(step));
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_temperature_takes_the_first_of_the_largest() {
        let choice = SamplingOptions::default().choose(&mut [0.0, 3.0, 3.0, 1.0], &[], 0);
        assert_eq!(choice.token, 1);
    }

    #[test]
    fn draws_follow_the_probabilities_and_depend_on_seed_and_position_alone() {
        let options = SamplingOptions { temperature: 1.0, seed: 7, ..Default::default() };
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let mut counts = [0usize; 3];
        for position in 0..20_000 {
            let token = options.choose(&mut logits.clone(), &[], position).token;
            assert_eq!(token, options.choose(&mut logits.clone(), &[1, 2], position).token);
            counts[token as usize] += 1;
        }
        for (count, p) in counts.iter().zip([0.5, 0.3, 0.2]) {
            assert!((*count as f64 / 20_000.0 - p).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn truncations_keep_what_they_say() {
        let logits = [0.4f32.ln(), 0.3f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
        let drawn = |options: SamplingOptions| {
            let mut seen = [false; 4];
            (0..2_000).for_each(|p| seen[options.choose(&mut logits.clone(), &[], p).token as usize] = true);
            seen
        };
        let base = SamplingOptions { temperature: 1.0, ..Default::default() };
        assert_eq!(drawn(SamplingOptions { top_k: 2, ..base.clone() }), [true, true, false, false]);
        assert_eq!(drawn(SamplingOptions { top_p: 0.65, ..base.clone() }), [true, true, false, false]);
        assert_eq!(drawn(SamplingOptions { min_p: 0.45, ..base.clone() }), [true, true, true, false]);
        assert_eq!(drawn(SamplingOptions { typical_p: 0.2, ..base.clone() }), [false, true, false, false]);
        assert_eq!(drawn(base), [true; 4]);
    }

    #[test]
    fn a_nucleus_of_a_large_vocabulary_is_that_of_a_full_sort() {
        let logits: Vec<f32> = (0..5_000u32).map(|x| ((x * 7919 % 5_000) as f32).sqrt() / 8.0).collect();
        let mut all: Vec<(u32, f32)> =
            log_softmax(&logits).iter().map(|p| p.exp()).zip(0..).map(|(p, t)| (t, p)).collect();
        all.sort_by(most_likely_first);
        for top_p in [0.01, 0.3, 0.9, 0.999] {
            let options = SamplingOptions { temperature: 1.0, top_p, ..Default::default() };
            let mut sum = 0.0;
            let mut is_kept = |p: f32| {
                sum += p;
                sum - p < top_p
            };
            let kept = all.iter().take_while(|(_, p)| is_kept(*p)).count();
            // The last one by the largest random number, the first one by the least.
            let last = options.draw(&logits, 1.0 - f64::EPSILON);
            let place = all.iter().position(|(token, _)| *token == last).expect("a token");
            assert!(place.abs_diff(kept - 1) <= 1, "{place} of {kept}");
            assert_eq!(options.draw(&logits, 0.0), all[0].0);
        }
    }

    #[test]
    fn heads_give_the_tokens_of_rows() {
        let row =
            |seed: u32| (0..900u32).map(|x| ((x * 7919 + seed * 31) % 900) as f32 / 45.0 - 10.0).collect::<Vec<_>>();
        let base = SamplingOptions::default();
        let penalties = SamplingOptions { repetition_penalty: 1.3, frequency_penalty: 0.2, ..base.clone() };
        let biased = SamplingOptions { logit_bias: vec![(7, 3.0), (8, -100.0), (7, 30.0)], ..base.clone() };
        let mut decided = 0;
        for options in [base, penalties, biased] {
            for temperature in [0.0, 0.6, 1.0] {
                for (top_k, top_p) in [(0, 1.0), (20, 1.0), (20, 0.9), (0, 0.8)] {
                    let options = SamplingOptions { temperature, top_k, top_p, seed: 5, ..options.clone() };
                    for seed in 0..20 {
                        let (mut row, history) = (row(seed), [899 - seed, 7, 8, 7, 100_000]);
                        let question = options.question(&history, row.len()).expect("a head may do");
                        let mut sorted: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
                        sorted.sort_by(most_likely_first);
                        sorted.truncate(question.count);
                        let max = sorted[0].1;
                        let sum = |factor: f32| row.iter().map(|x| f64::from((x - max) * factor).exp()).sum();
                        let head = Head {
                            sum: question.factor.map(|factor| (max, sum(factor))),
                            values: question.numbers.iter().map(|&token| row[token as usize]).collect(),
                            greatest: sorted,
                        };
                        let early = options.choose_by_head(&head, &history, 9, row.len());
                        let whole = options.choose(&mut row, &history, 9);
                        if let Some(early) = early {
                            assert_eq!(early, whole, "{options:?}");
                            decided += 1;
                        }
                    }
                }
            }
        }
        assert!(decided > 500, "{decided} of 720");
    }

    #[test]
    fn penalties_and_bias_move_logits() {
        let penalized = |options: SamplingOptions, history: &[u32]| {
            let mut logits = [1.0, -1.0, 0.0];
            options.choose(&mut logits, history, 0);
            logits
        };
        let base = SamplingOptions::default();
        let repetition = SamplingOptions { repetition_penalty: 2.0, ..base.clone() };
        assert_eq!(penalized(repetition, &[0, 1]), [0.5, -2.0, 0.0]);
        let counted = SamplingOptions { presence_penalty: 0.5, frequency_penalty: 0.25, ..base.clone() };
        assert_eq!(penalized(counted, &[2, 2]), [1.0, -1.0, -1.0]);
        let biased = SamplingOptions { logit_bias: vec![(2, 5.0)], ..base };
        assert_eq!(biased.choose(&mut [1.0, -1.0, 0.0], &[], 0).token, 2);
    }

    #[test]
    fn only_allowed_tokens_are_chosen() {
        let base = SamplingOptions { logprobs: Some(0), ..Default::default() };
        for options in [base.clone(), SamplingOptions { temperature: 1.0, ..base }] {
            for position in 0..100 {
                let choice = options.choose_among(&mut [9.0, 1.0, 8.0, 1.0], &[], position, Some(&[0b1010]));
                assert!([1, 3].contains(&choice.token));
                assert!(choice.logprobs.is_some_and(|(own, _)| own < -7.0), "of the whole vocabulary");
            }
        }
    }

    #[test]
    fn logprobs_are_those_of_the_model() {
        let options = SamplingOptions { logprobs: Some(2), temperature: 0.5, top_k: 1, ..Default::default() };
        let (own, best) = options.choose(&mut [0.0, 0.0, f32::NEG_INFINITY], &[], 3).logprobs.expect("asked for");
        assert!((own - 0.5f32.ln()).abs() < 1e-6);
        assert_eq!(best.len(), 2);
        assert_eq!((best[0].0, best[1].0), (0, 1));
    }
}
