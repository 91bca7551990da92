//! The searches for scales behind the K-quant encoders, for all sub-blocks of a super-block at once.
//!
//! A lane is a sub-block; the values of a lane are visited in order, so every lane counts exactly as a scalar search
//! over one sub-block would, and the result is ggml's reference quantization bit for bit (x86-64, no fused
//! multiply-add). Everything is `#[inline(always)]`: the callers are compiled per instruction set.
//! Read next: [`super::gguf_k`].

/// One value of each lane.
pub type Lanes<const LANES: usize> = [f32; LANES];

/// What a search gives: a scale (and the negated minimum) for each lane, and the quants.
pub struct Found<const LANES: usize, const LENGTH: usize> {
    /// Scale of each lane; may be negative in the symmetric searches.
    pub scales: Lanes<LANES>,
    /// Negated minimum of each lane, never negative; zero in the symmetric searches.
    pub minima: Lanes<LANES>,
    /// Quants, counted from zero. They matter only where the final scale of a lane is zero.
    pub quants: [[i32; LANES]; LENGTH],
}

/// A sub-block whose largest magnitude is less is all zero.
const ZERO: f32 = 1e-15;

/// Constants of [`with_minimum`].
#[derive(Clone, Copy)]
pub struct Steps {
    /// Largest quant.
    pub last: i32,
    /// Offset of the first trial from `last`.
    pub first: f32,
    /// Trials after the first, 0.1 apart.
    pub count: usize,
    /// Whether the error is the absolute (else the squared) difference.
    pub absolute: bool,
}

/// Round to the nearest integer, ties to even; beyond 2^22 in magnitude the result wraps.
#[inline(always)]
pub fn nearest(value: f32) -> i32 {
    ((value + 12_582_912.0).to_bits() & 0x007F_FFFF) as i32 - 0x0040_0000
}

#[inline(always)]
fn clamp(value: i32, first: i32, last: i32) -> i32 {
    value.min(last).max(first)
}

/// Turn lanes (sub-blocks of `LENGTH` consecutive values) into columns. `values.len()` is `LANES * LENGTH`.
#[inline(always)]
pub fn transpose<const LANES: usize, const LENGTH: usize>(values: &[f32]) -> [Lanes<LANES>; LENGTH] {
    let mut columns = [[0.0; LANES]; LENGTH];
    for (lane, values) in values.chunks_exact(LENGTH).enumerate().take(LANES) {
        for (column, value) in columns.iter_mut().zip(values) {
            column[lane] = *value;
        }
    }
    columns
}

/// `x = scale * q - minimum` with `q` in `0..=last`: the trial of least weighted error.
#[inline(always)]
pub fn with_minimum<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    weights: &[Lanes<LANES>; LENGTH],
    steps: Steps,
) -> Found<LANES, LENGTH> {
    let (mut low, mut high) = (values[0], values[0]);
    let (mut sum_w, mut sum_x) = ([0.0; LANES], [0.0; LANES]);
    for (value, weight) in values.iter().zip(weights) {
        for lane in 0..LANES {
            low[lane] = if value[lane] < low[lane] { value[lane] } else { low[lane] };
            high[lane] = if value[lane] > high[lane] { value[lane] } else { high[lane] };
            sum_w[lane] += weight[lane];
            sum_x[lane] += weight[lane] * value[lane];
        }
    }
    let low = low.map(|low| if low > 0.0 { 0.0 } else { low });
    let mut inverse = [0.0; LANES];
    let mut scales = [0.0; LANES];
    for lane in 0..LANES {
        inverse[lane] = steps.last as f32 / (high[lane] - low[lane]);
        scales[lane] = 1.0 / inverse[lane];
    }
    let mut trial = [[0.0; LANES]; LENGTH];
    quantize_from(values, &inverse, &low, steps.last, &mut trial);
    let mut best_error = weighted_error(values, weights, &trial, &scales, &low, steps.absolute);
    // `base` and `inverse` made the best quants; the minimum moves with each improvement, and later trials start
    // from the moved one.
    let (mut minimum, mut base, mut best_inverse) = (low, low, inverse);
    for step in 0..=steps.count {
        let numerator = steps.first + 0.1 * step as f32 + steps.last as f32;
        for lane in 0..LANES {
            inverse[lane] = numerator / (high[lane] - minimum[lane]);
        }
        quantize_from(values, &inverse, &minimum, steps.last, &mut trial);
        let (fit_scale, fit_minimum, valid) = fit(values, weights, &trial, &sum_w, &sum_x);
        let error = weighted_error(values, weights, &trial, &fit_scale, &fit_minimum, steps.absolute);
        for lane in 0..LANES {
            let better = valid[lane] & (error[lane] < best_error[lane]);
            best_error[lane] = if better { error[lane] } else { best_error[lane] };
            scales[lane] = if better { fit_scale[lane] } else { scales[lane] };
            best_inverse[lane] = if better { inverse[lane] } else { best_inverse[lane] };
            base[lane] = if better { minimum[lane] } else { base[lane] };
            minimum[lane] = if better { fit_minimum[lane] } else { minimum[lane] };
        }
    }
    quantize_from(values, &best_inverse, &base, steps.last, &mut trial);
    let mut quants = [[0; LANES]; LENGTH];
    let mut minima = [0.0; LANES];
    for lane in 0..LANES {
        let flat = high[lane] == low[lane];
        scales[lane] = if flat { 0.0 } else { scales[lane] };
        minima[lane] = if flat { -low[lane] } else { -minimum[lane] };
        for (quants, trial) in quants.iter_mut().zip(&trial) {
            quants[lane] = if flat { 0 } else { trial[lane] as i32 };
        }
    }
    Found { scales, minima, quants }
}

/// Quants of the grid that starts at `base`, as floats.
#[inline(always)]
fn quantize_from<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    inverse: &Lanes<LANES>,
    base: &Lanes<LANES>,
    last: i32,
    quants: &mut [Lanes<LANES>; LENGTH],
) {
    for (value, quant) in values.iter().zip(quants) {
        for lane in 0..LANES {
            quant[lane] = clamp(nearest(inverse[lane] * (value[lane] - base[lane])), 0, last) as f32;
        }
    }
}

/// Weighted least squares for scale and minimum with given quants; the minimum is kept from being positive.
#[inline(always)]
fn fit<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    weights: &[Lanes<LANES>; LENGTH],
    quants: &[Lanes<LANES>; LENGTH],
    sum_w: &Lanes<LANES>,
    sum_x: &Lanes<LANES>,
) -> (Lanes<LANES>, Lanes<LANES>, [bool; LANES]) {
    let (mut sum_l, mut sum_l2, mut sum_xl) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    for ((value, weight), quant) in values.iter().zip(weights).zip(quants) {
        for lane in 0..LANES {
            let weighted = weight[lane] * quant[lane];
            sum_l[lane] += weighted;
            sum_l2[lane] += weighted * quant[lane];
            sum_xl[lane] += weighted * value[lane];
        }
    }
    let (mut scale, mut minimum, mut valid) = ([0.0; LANES], [0.0; LANES], [false; LANES]);
    for lane in 0..LANES {
        let determinant = sum_w[lane] * sum_l2[lane] - sum_l[lane] * sum_l[lane];
        valid[lane] = determinant > 0.0;
        let fit_scale = (sum_w[lane] * sum_xl[lane] - sum_x[lane] * sum_l[lane]) / determinant;
        let fit_minimum = (sum_l2[lane] * sum_x[lane] - sum_l[lane] * sum_xl[lane]) / determinant;
        let positive = fit_minimum > 0.0;
        scale[lane] = if positive { sum_xl[lane] / sum_l2[lane] } else { fit_scale };
        minimum[lane] = if positive { 0.0 } else { fit_minimum };
    }
    (scale, minimum, valid)
}

#[inline(always)]
fn weighted_error<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    weights: &[Lanes<LANES>; LENGTH],
    quants: &[Lanes<LANES>; LENGTH],
    scale: &Lanes<LANES>,
    minimum: &Lanes<LANES>,
    absolute: bool,
) -> Lanes<LANES> {
    let mut error = [0.0; LANES];
    for ((value, weight), quant) in values.iter().zip(weights).zip(quants) {
        for lane in 0..LANES {
            let difference = scale[lane] * quant[lane] + minimum[lane] - value[lane];
            let difference = if absolute { difference.abs() } else { difference * difference };
            error[lane] += weight[lane] * difference;
        }
    }
    error
}

/// `x = scale * (q - half)` with `q` in `0..2 * half`, weights `x²`: nineteen trial scales around the largest value.
#[inline(always)]
pub fn symmetric<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    half: i32,
) -> Found<LANES, LENGTH> {
    let (magnitude, signed) = largest(values);
    let mut inverse = [0.0; LANES];
    let (mut scales, mut best) = ([0.0; LANES], [0.0; LANES]);
    let mut best_inverse = [0.0; LANES];
    for step in [0i32, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9] {
        for lane in 0..LANES {
            inverse[lane] = -(half as f32 + 0.1 * step as f32) / signed[lane];
        }
        let (mut sum_lx, mut sum_l2) = ([0.0; LANES], [0.0; LANES]);
        for value in values {
            for lane in 0..LANES {
                let quant = clamp(nearest(inverse[lane] * value[lane]), -half, half - 1) as f32;
                let weight = value[lane] * value[lane];
                sum_lx[lane] += weight * value[lane] * quant;
                sum_l2[lane] += weight * quant * quant;
            }
        }
        for lane in 0..LANES {
            let better = (sum_l2[lane] > 0.0) & (sum_lx[lane] * sum_lx[lane] > best[lane] * sum_l2[lane]);
            let take = better | (step == 0);
            let scale = if sum_l2[lane] != 0.0 { sum_lx[lane] / sum_l2[lane] } else { 0.0 };
            scales[lane] = if take { scale } else { scales[lane] };
            best[lane] = if take { scale * sum_lx[lane] } else { best[lane] };
            best_inverse[lane] = if take { inverse[lane] } else { best_inverse[lane] };
        }
    }
    let mut quants = [[0; LANES]; LENGTH];
    for lane in 0..LANES {
        let zero = magnitude[lane] < ZERO;
        scales[lane] = if zero { 0.0 } else { scales[lane] };
        for (quants, value) in quants.iter_mut().zip(values) {
            let quant = half + clamp(nearest(best_inverse[lane] * value[lane]), -half, half - 1);
            quants[lane] = if zero { 0 } else { quant };
        }
    }
    Found { scales, minima: [0.0; LANES], quants }
}

/// As [`symmetric`], but instead of trial scales the quants are improved one by one, in at most five rounds.
#[inline(always)]
pub fn coordinate_descent<const LANES: usize, const LENGTH: usize>(
    values: &[Lanes<LANES>; LENGTH],
    half: i32,
) -> Found<LANES, LENGTH> {
    let (magnitude, signed) = largest(values);
    let inverse = signed.map(|signed| -half as f32 / signed);
    let mut quants = [[0; LANES]; LENGTH];
    let (mut sum_lx, mut sum_l2) = ([0.0; LANES], [0.0; LANES]);
    for (value, quants) in values.iter().zip(&mut quants) {
        for lane in 0..LANES {
            quants[lane] = clamp(nearest(inverse[lane] * value[lane]), -half, half - 1);
            let weight = value[lane] * value[lane];
            sum_lx[lane] += weight * value[lane] * quants[lane] as f32;
            sum_l2[lane] += weight * quants[lane] as f32 * quants[lane] as f32;
        }
    }
    for _ in 0..5 {
        let mut changed = [false; LANES];
        for (value, quants) in values.iter().zip(&mut quants) {
            for lane in 0..LANES {
                let weight = value[lane] * value[lane];
                let old = quants[lane] as f32;
                let rest_lx = sum_lx[lane] - weight * value[lane] * old;
                let rest_l2 = sum_l2[lane] - weight * old * old;
                let quant = clamp(nearest(value[lane] * rest_l2 / rest_lx), -half, half - 1);
                let new = quant as f32;
                let new_lx = rest_lx + weight * value[lane] * new;
                let new_l2 = rest_l2 + weight * new * new;
                let better = new_lx * new_lx * sum_l2[lane] > sum_lx[lane] * sum_lx[lane] * new_l2;
                let take = (rest_lx > 0.0) & (quant != quants[lane]) & (new_l2 > 0.0) & better;
                quants[lane] = if take { quant } else { quants[lane] };
                sum_lx[lane] = if take { new_lx } else { sum_lx[lane] };
                sum_l2[lane] = if take { new_l2 } else { sum_l2[lane] };
                changed[lane] |= take;
            }
        }
        // A lane without a change stays as it is, so further rounds for the others do not touch it.
        if changed == [false; LANES] {
            break;
        }
    }
    let mut scales = [0.0; LANES];
    for lane in 0..LANES {
        let zero = magnitude[lane] < ZERO;
        scales[lane] = if zero | (sum_l2[lane] <= 0.0) { 0.0 } else { sum_lx[lane] / sum_l2[lane] };
        for quants in &mut quants {
            quants[lane] = if zero { 0 } else { quants[lane] + half };
        }
    }
    Found { scales, minima: [0.0; LANES], quants }
}

/// The largest magnitude of each lane, and the first value that has it.
#[inline(always)]
fn largest<const LANES: usize, const LENGTH: usize>(values: &[Lanes<LANES>; LENGTH]) -> (Lanes<LANES>, Lanes<LANES>) {
    let (mut magnitude, mut signed) = ([0.0; LANES], [0.0; LANES]);
    for value in values {
        for lane in 0..LANES {
            let larger = value[lane].abs() > magnitude[lane];
            magnitude[lane] = if larger { value[lane].abs() } else { magnitude[lane] };
            signed[lane] = if larger { value[lane] } else { signed[lane] };
        }
    }
    (magnitude, signed)
}
