//! The draw, from as few tokens as decide it: the truncations and the random number walk a row most likely first.
//!
//! Invariant: the token is that of the whole row, or none: what a row's head cannot decide is left open. So a row that
//! lies on a GPU need not come back, and its token is the same. Read next: `sampling.rs`.

use crate::sampling_options::SamplingOptions;

/// The beginning of a row in its order: most likely first, equal ones by id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    /// Tokens and their logits.
    pub head: &'a [(u32, f32)],
    /// Whether there are no others.
    pub is_whole: bool,
    /// The sum of all tokens' weights, `exp((logit - first) / temperature)`, and how far off it may be.
    pub total: (f64, f64),
}

/// Beyond e^-25 of the most likely, a token cannot be drawn with 53 random bits worth mentioning.
const LEAST_EXPONENT: f32 = 25.0;

/// How far the sum of a host's weights may be off, as a share.
const HOST_ERROR: f64 = 1e-12;

impl SamplingOptions {
    /// Draw from all logits of a row with a random number in `[0, 1)`.
    pub(crate) fn draw(&self, logits: &[f32], random: f64) -> u32 {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let floor = self.floor(max);
        let within = logits.iter().enumerate().filter(|(_, logit)| **logit >= floor);
        let mut list: Vec<(u32, f32)> = within.map(|(token, logit)| (token as u32, logit + 0.0)).collect();
        let is_cut = self.top_k > 0 && self.top_k < list.len();
        let total: f64 = if is_cut { 0.0 } else { list.iter().map(|(_, logit)| self.weight(*logit, max)).sum() };
        let mut count = match (is_cut, self.typical_p < 1.0) {
            (true, _) => self.top_k,
            (false, true) => list.len(),
            (false, false) => 128,
        };
        loop {
            let is_whole = count >= list.len();
            if !is_whole {
                list.select_nth_unstable_by(count - 1, most_likely_first);
            }
            let end = count.min(list.len());
            list[..end].sort_unstable_by(most_likely_first);
            let candidates = Candidates { head: &list[..end], is_whole, total: (total, total * HOST_ERROR) };
            if let Some(token) = self.draw_from(candidates, random) {
                return token;
            }
            count *= 8;
        }
    }

    /// Draw from the head of a row; none when it is too short to decide.
    pub(crate) fn draw_from(&self, candidates: Candidates<'_>, random: f64) -> Option<u32> {
        let Candidates { head, mut is_whole, total: (mut total, mut error) } = candidates;
        let Some(&(_, max)) = head.first() else { return is_whole.then_some(0) };
        let floor = self.floor(max);
        let mut list: Vec<(u32, f64)> = Vec::with_capacity(head.len());
        list.extend(
            head.iter().take_while(|(_, logit)| *logit >= floor).map(|&(t, logit)| (t, self.weight(logit, max))),
        );
        is_whole |= list.len() < head.len();
        if self.top_k > 0 && self.top_k <= list.len() {
            list.truncate(self.top_k);
            is_whole = true;
        } else if self.top_k > 0 && !is_whole {
            return None;
        }
        if is_whole {
            (total, error) = (list.iter().map(|(_, weight)| weight).sum(), 0.0);
        }
        if self.typical_p < 1.0 {
            if !is_whole {
                return None;
            }
            keep_typical(&mut list, total, self.typical_p);
        }
        if self.top_p < 1.0 {
            let (count, is_cut) = nucleus(&list, f64::from(self.top_p), total, error)?;
            list.truncate(count);
            is_whole |= is_cut;
            if !is_whole {
                return None;
            }
        }
        if self.min_p > 0.0 {
            let floor = f64::from(self.min_p) * list.first().map_or(0.0, |(_, weight)| *weight);
            let count = list.iter().take_while(|(_, weight)| *weight >= floor).count().max(1);
            is_whole |= count < list.len();
            list.truncate(count);
            if !is_whole {
                return None;
            }
        }
        if is_whole {
            (total, error) = (list.iter().map(|(_, weight)| weight).sum(), 0.0);
        }
        let token = walk(&list, random * total, random * error);
        match is_whole {
            true => token.or_else(|| list.last().map(|(token, _)| *token)),
            false => token,
        }
    }

    fn floor(&self, max: f32) -> f32 {
        if self.typical_p < 1.0 { f32::MIN } else { max - LEAST_EXPONENT * self.temperature }
    }

    fn weight(&self, logit: f32, max: f32) -> f64 {
        f64::from(((logit - max) / self.temperature).exp())
    }
}

/// The order of rows.
pub(crate) fn most_likely_first(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// The first token whose sum passes `target`; none when that is not certain within `error`.
fn walk(list: &[(u32, f64)], target: f64, error: f64) -> Option<u32> {
    let mut sum = 0.0;
    for (token, weight) in list {
        sum += weight;
        if target < sum - error {
            let before = sum - weight;
            return (error == 0.0 || before == 0.0 || target >= before + error).then_some(*token);
        }
    }
    None
}

/// How many tokens it takes until their sum is `share` of the whole, and whether they reach it; none when that is not
/// certain.
fn nucleus(list: &[(u32, f64)], share: f64, total: f64, error: f64) -> Option<(usize, bool)> {
    let (target, error) = (share * total, share * error);
    let mut sum = 0.0;
    for (count, (_, weight)) in list.iter().enumerate() {
        if count > 0 {
            if error > 0.0 && (sum - target).abs() <= error {
                return None;
            }
            if sum >= target {
                return Some((count, true));
            }
        }
        sum += weight;
    }
    let is_certain = error == 0.0 || (sum - target).abs() > error;
    is_certain.then_some((list.len(), sum >= target))
}

/// Keep what is nearest to the entropy until its sum is `share` of the whole; most likely first again.
fn keep_typical(list: &mut Vec<(u32, f64)>, total: f64, share: f32) {
    let surprise = |weight: f64| -(weight / total).max(f64::from(f32::MIN_POSITIVE)).ln();
    let entropy: f64 = list.iter().map(|(_, weight)| weight / total * surprise(*weight)).sum();
    let distance = |weight: f64| (surprise(weight) - entropy).abs();
    list.sort_by(|a, b| distance(a.1).total_cmp(&distance(b.1)).then(a.0.cmp(&b.0)));
    let target = f64::from(share) * total;
    let mut sum = 0.0;
    let inside = list.iter().take_while(|(_, weight)| {
        let inside = sum < target;
        sum += weight;
        inside
    });
    let count = inside.count().max(1);
    list.truncate(count);
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    /// Options of all kinds.
    fn options(next: &mut impl FnMut() -> f64) -> SamplingOptions {
        let mut often = |share: f64| next() < share;
        let (top_k, top_p, min_p, typical) = (often(0.4), often(0.4), often(0.3), often(0.1));
        SamplingOptions {
            temperature: [0.3, 0.7, 1.0, 1.7][(next() * 4.0) as usize],
            top_k: if top_k { 1 + (next() * 80.0) as usize } else { 0 },
            top_p: if top_p { next() as f32 } else { 1.0 },
            min_p: if min_p { next() as f32 * 0.2 } else { 0.0 },
            typical_p: if typical { next() as f32 } else { 1.0 },
            ..SamplingOptions::default()
        }
    }

    #[test]
    fn what_a_head_decides_the_whole_row_decides_too() {
        let mut next = numbers(3);
        let (mut decided, mut open) = (0, 0);
        for round in 0..4_000 {
            let options = options(&mut next);
            let width = [2.0, 8.0, 30.0][round % 3];
            let row: Vec<f32> = (0..700).map(|_| (next().powi(3) * width) as f32).collect();
            let max = row.iter().copied().fold(f32::MIN, f32::max);
            let total: f64 = row.iter().map(|x| (f64::from(x - max) / f64::from(options.temperature)).exp()).sum();
            let mut sorted: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            sorted.sort_by(most_likely_first);
            let random = next();
            let whole = options.draw(&row, random);
            // The sum is off by half of what it is said to be off.
            let error = total * 1e-4;
            for count in [1, 8, 64] {
                for off in [-0.5, 0.5] {
                    let head = &sorted[..count];
                    let candidates = Candidates { head, is_whole: false, total: (total + off * error, error) };
                    match options.draw_from(candidates, random) {
                        Some(token) => {
                            assert_eq!(token, whole, "{options:?} {count} of a row, random {random}");
                            decided += 1;
                        }
                        None => open += 1,
                    }
                }
            }
            let candidates = Candidates { head: &sorted, is_whole: true, total: (f64::NAN, f64::NAN) };
            assert_eq!(options.draw_from(candidates, random), Some(whole), "{options:?}");
        }
        assert!(decided > 6_000 && open > 1_000, "{decided} decided, {open} open");
    }
}
