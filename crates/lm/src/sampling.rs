//! From logits to a token: penalties, bias, temperature, the truncations, a draw by counter.
//!
//! Order: repetition, presence and frequency penalties; bias; temperature; top-k; typical-p; top-p; min-p; draw. The random number of a token
//! is a function of (seed, position) alone, so a text does not depend on what else is in the batch.

use olivine_kernels::top_k;

/// How tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0: the most likely token, always.
    pub temperature: f32,
    /// Keep the k most likely; 0: all.
    pub top_k: usize,
    /// Keep the most likely until their sum reaches this; 1: all.
    pub top_p: f32,
    /// Drop what is less likely than this share of the most likely; 0: none.
    pub min_p: f32,
    /// Locally typical sampling (arXiv:2202.00666): keep what is nearest to the entropy until this sum; 1: all.
    pub typical_p: f32,
    /// Divide positive and multiply negative logits of tokens seen lately; 1: off.
    pub repetition_penalty: f32,
    /// Subtracted once from tokens seen lately.
    pub presence_penalty: f32,
    /// Subtracted from tokens seen lately for each time.
    pub frequency_penalty: f32,
    /// How many tokens back the penalties look.
    pub penalty_tokens: usize,
    /// Added to single tokens' logits.
    pub logit_bias: Vec<(u32, f32)>,
    /// Of the random numbers.
    pub seed: u64,
    /// How many alternatives to report with log-probabilities; none: no report.
    pub logprobs: Option<usize>,
}

impl Default for SamplingOptions {
    fn default() -> SamplingOptions {
        SamplingOptions {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            penalty_tokens: 64,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

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
    /// What is wrong with the options, naming the option.
    pub fn check(&self) -> Result<(), String> {
        let unit = |name: &str, value: f32| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} must be from 0 to 1, not {value}")),
        };
        unit("top_p", self.top_p)?;
        unit("min_p", self.min_p)?;
        unit("typical_p", self.typical_p)?;
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return Err(format!("temperature must be 0 or more, not {}", self.temperature));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return Err(format!("repetition_penalty must be above 0, not {}", self.repetition_penalty));
        }
        for (name, value) in
            [("presence_penalty", self.presence_penalty), ("frequency_penalty", self.frequency_penalty)]
        {
            if !value.is_finite() {
                return Err(format!("{name} must be a number, not {value}"));
            }
        }
        Ok(())
    }

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
        self.penalize(logits, history);
        for &(token, bias) in &self.logit_bias {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit += bias;
            }
        }
        if let Some(allowed) = allowed {
            for (token, logit) in logits.iter_mut().enumerate() {
                let word = allowed.get(token / 32).copied().unwrap_or(0);
                *logit = if word >> (token % 32) & 1 == 1 { *logit } else { f32::NEG_INFINITY };
            }
        }
        let token = if self.temperature == 0.0 { top_k::argmax(logits) as u32 } else { self.draw(logits, position) };
        let logprobs = report.map(|(count, logprobs)| (logprobs[token as usize], best(&logprobs, count)));
        Choice { token, logprobs }
    }

    fn penalize(&self, logits: &mut [f32], history: &[u32]) {
        if self.repetition_penalty == 1.0 && self.presence_penalty == 0.0 && self.frequency_penalty == 0.0 {
            return;
        }
        let mut seen = history[history.len().saturating_sub(self.penalty_tokens)..].to_vec();
        seen.sort_unstable();
        for run in seen.chunk_by(|a, b| a == b) {
            let Some(logit) = logits.get_mut(run[0] as usize) else { continue };
            let penalty = self.repetition_penalty;
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            *logit -= self.presence_penalty + self.frequency_penalty * run.len() as f32;
        }
    }

    fn draw(&self, logits: &[f32], position: usize) -> u32 {
        let mut candidates = self.candidates(logits);
        if self.typical_p < 1.0 {
            keep_typical(&mut candidates, self.typical_p);
        }
        if self.top_p < 1.0 {
            keep_top_p(&mut candidates, self.top_p);
        }
        if self.min_p > 0.0 {
            let floor = self.min_p * candidates.iter().fold(0.0, |max: f32, (_, p)| max.max(*p));
            candidates.retain(|(_, p)| *p >= floor);
        }
        let total: f64 = candidates.iter().map(|(_, p)| f64::from(*p)).sum();
        let mut rest = uniform(self.seed, position as u64) * total;
        for (token, p) in &candidates {
            rest -= f64::from(*p);
            if rest < 0.0 {
                return *token;
            }
        }
        candidates[candidates.len() - 1].0
    }

    /// Tokens and probabilities after temperature and top-k. Where a truncation needs an order, the most likely come
    /// first, ties by id, as many as it can need; else they come by id, for sorting a whole vocabulary takes as long as
    /// a step of a small model.
    fn candidates(&self, logits: &[f32]) -> Vec<(u32, f32)> {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Beyond e^-25 of the most likely, a token cannot be drawn with 53 random bits worth mentioning.
        let floor = if self.typical_p < 1.0 { f32::MIN } else { max - 25.0 * self.temperature };
        let within = logits.iter().enumerate().filter(|(_, logit)| **logit >= floor);
        let mut list: Vec<_> = within.map(|(token, logit)| (token as u32, *logit)).collect();
        if self.top_k > 0 && self.top_k < list.len() {
            list.select_nth_unstable_by(self.top_k - 1, most_likely_first);
            list.truncate(self.top_k);
            list.sort_unstable_by(most_likely_first);
        }
        list.iter_mut().for_each(|(_, value)| *value = ((*value - max) / self.temperature).exp());
        let total: f32 = list.iter().map(|(_, p)| p).sum();
        list.iter_mut().for_each(|(_, p)| *p /= total);
        if self.typical_p < 1.0 {
            list.sort_unstable_by(most_likely_first);
        } else if self.top_p < 1.0 {
            order_nucleus(&mut list, self.top_p);
        }
        list
    }
}

fn most_likely_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// Sort the most likely tokens to the front, as many as reach the sum `top_p`, and drop others.
fn order_nucleus(list: &mut Vec<(u32, f32)>, top_p: f32) {
    let mut count = 128;
    while count < list.len() {
        list.select_nth_unstable_by(count - 1, most_likely_first);
        if list[..count].iter().map(|(_, p)| p).sum::<f32>() > top_p {
            list.truncate(count);
            break;
        }
        count *= 8;
    }
    list.sort_unstable_by(most_likely_first);
}

fn keep_top_p(candidates: &mut Vec<(u32, f32)>, top_p: f32) {
    let mut sum = 0.0;
    let before = candidates.iter().take_while(|(_, p)| {
        let inside = sum < top_p;
        sum += p;
        inside
    });
    let kept = before.count().max(1);
    candidates.truncate(kept);
}

fn keep_typical(candidates: &mut Vec<(u32, f32)>, typical_p: f32) {
    let surprise = |p: f32| -p.max(f32::MIN_POSITIVE).ln();
    let entropy: f32 = candidates.iter().map(|(_, p)| p * surprise(*p)).sum();
    let distance = |p: f32| (surprise(p) - entropy).abs();
    candidates.sort_by(|a, b| distance(a.1).total_cmp(&distance(b.1)).then(a.0.cmp(&b.0)));
    keep_top_p(candidates, typical_p);
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

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
        for top_p in [0.01, 0.3, 0.9, 0.999] {
            let options = SamplingOptions { temperature: 1.0, top_p, ..Default::default() };
            let mut all: Vec<(u32, f32)> =
                log_softmax(&logits).iter().map(|p| p.exp()).zip(0..).map(|(p, t)| (t, p)).collect();
            all.sort_by(most_likely_first);
            keep_top_p(&mut all, top_p);
            let mut own = options.candidates(&logits);
            keep_top_p(&mut own, top_p);
            // Sums in another order may differ in the last bit, and the nucleus by a token.
            assert!(own.len().abs_diff(all.len()) <= 1, "{} and {}", own.len(), all.len());
            assert!(own.iter().zip(&all).all(|(a, b)| a.0 == b.0));
        }
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
