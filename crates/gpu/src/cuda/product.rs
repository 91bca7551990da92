//! A product as the commands of a list say it, and its matrix.
//!
//! Read next: `matmul`, which chooses its kernels.

use super::arguments::Arguments;
use super::plan::Call;
use crate::device::Command;
use crate::error::GpuError;
use crate::ops::elementwise::is_sum;

/// The constants INPUT of rows as they are, and of those that are normed or gated on the way in.
pub(super) const PLAIN: u32 = 0;
pub(super) const NORM: u32 = 1;
pub(super) const GATED: u32 = 2;

/// Code of weights in f32.
pub(super) const F32: u32 = 32;

/// A matrix as kernels see it: struct Weights of `weights.cuh`.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub parts: [u64; 4],
    pub code: u32,
    pub kind: u32,
    pub group: u32,
    pub zero: u32,
    pub columns: u32,
    pub factor: f32,
    pub scale_up: f32,
}

impl Weights {
    /// The matrix whose parts begin at buffer `first`; `factor` of all values, `scale_up` as a [`Matrix`] has it.
    ///
    /// [`Matrix`]: crate::ops::weights::Matrix
    pub fn of(call: &Call, first: usize, columns: u32, factor: f32, scale_up: f32) -> Result<Weights, GpuError> {
        let [code, kind, group, zero] = ["CODE", "SCALE", "GROUP", "ZERO"].map(|name| call.constant(name));
        let there = [true, matches!(code, 3 | 5 | 6), kind != 0, matches!(kind, 5 | 6 | 9)];
        let parts = [0, 1, 2, 3].map(|part| call.address_if(there[part], first + part));
        if !matches!(code, 2 | 3 | 4 | 5 | 6 | 8 | 9 | 20 | 21 | 30 | 31 | F32) {
            return Err(call.error(format!("weights of code {code}")));
        }
        Ok(Weights { parts, code, kind, group, zero, columns, factor, scale_up })
    }

    /// The code as kernels are named for it.
    pub fn code_name(&self) -> &'static str {
        match self.code {
            2 => "bits2",
            3 => "bits3",
            4 => "bits4",
            5 => "bits5",
            6 => "bits6",
            8 => "bits8",
            9 => "signed8",
            20 => "e2m1",
            21 => "e4m3",
            30 => "bf16",
            _ => "f16",
        }
    }

    /// Code and scales as products are named for them.
    pub fn product_name(&self) -> String {
        let scales = match (self.code, self.kind) {
            (4, 2) => "_pair",
            (4, 4) => "_single",
            (4, 5) => "_minima",
            (6, 6) => "_signed",
            (20, 7) => "_exponent",
            _ => "",
        };
        format!("{}{scales}", self.code_name())
    }

    /// The same for products of up to 16 rows on Hopper, whose columns are split in eight. Of 4 bits, where each of the eight is a
    /// whole number of times four stretches of 128 columns, their kernels ask less. Small matrices do not have those:
    /// to fetch another kernel's code costs more than they gain.
    pub fn slices_name(&self, features: u32) -> String {
        let is_whole = matches!((self.code, self.kind), (4, 2 | 4 | 5) | (20, _)) && self.columns.is_multiple_of(4096);
        format!("{}{}", if is_whole && features >= 4096 { "whole_" } else { "" }, self.product_name())
    }

    pub fn is_dense(&self) -> bool {
        self.code >= 30
    }

    /// The order of columns: enum Order of `weights.cuh`.
    pub fn order(&self) -> u32 {
        match self.code {
            30 | 31 => 0,
            8 | 9 | 21 => 2,
            _ => 1,
        }
    }

    /// Type of the products' operands.
    pub fn element(&self) -> &'static str {
        if self.code == 30 { "bf16" } else { "f16" }
    }

    pub fn blocks(&self) -> u32 {
        self.columns.div_ceil(32)
    }

    /// Bytes of the codes of 32 rows.
    pub fn tile_bytes(&self) -> u64 {
        let bits = match self.code {
            2 | 3 => 2,
            8 | 9 | 21 => 8,
            30 | 31 => 16,
            F32 => 32,
            _ => 4,
        };
        u64::from(self.blocks()) * 128 * bits
    }

    /// What codes' scales and offsets are multiplied by on their way to halves: powers of two, by what kernels take a
    /// code's bits for.
    pub fn ups(&self) -> [f32; 2] {
        match self.code {
            4..=6 => [self.scale_up * (1 << 24) as f32, self.scale_up],
            20 => [self.scale_up * 16384.0, 0.0],
            21 => [self.scale_up * 256.0, 0.0],
            _ => [256.0, 256.0],
        }
    }

    /// What products are multiplied by in the end.
    pub fn result_factor(&self) -> f32 {
        match self.code {
            20 | 21 => self.factor / self.scale_up,
            _ if self.is_dense() => self.factor,
            _ => self.factor / self.ups()[1],
        }
    }

    /// Groups whose scales share a word.
    pub fn groups_of_word_log2(&self) -> u32 {
        match self.kind {
            4 | 5 => 1,
            6..=9 => 2,
            _ => 0,
        }
    }

    /// Words of scales of a row.
    pub fn scale_words(&self) -> u32 {
        let groups = self.columns.div_ceil(self.group.max(1));
        match self.kind {
            0 => 0,
            3 => 2 * groups,
            _ => groups.div_ceil(1 << self.groups_of_word_log2()),
        }
    }

    pub fn arguments(&self) -> Arguments {
        let (log2, of_word_log2) = (self.group.trailing_zeros(), self.groups_of_word_log2());
        let words = self.scale_words();
        let arguments = self.parts.iter().fold(Arguments::new(), |arguments, &part| arguments.address(part));
        let words = [self.kind, log2, self.zero, self.blocks(), words, of_word_log2];
        arguments.words(&words).floats(&[self.result_factor()]).floats(&self.ups())
    }
}

/// What a product is made of.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub call: &'a Call<'a>,
    pub weights: Weights,
    pub rows: u32,
    pub features: u32,
    pub x: u64,
    pub x_stride: u32,
    pub input: u32,
    /// Columns, padded.
    pub stride: u32,
    pub bias: u64,
    pub residual: u64,
    pub out: u64,
    /// Where the product goes without the residual, too, here or on another card; or 0.
    pub plain: u64,
    pub out_stride: u32,
    /// Tiles of experts and their pairs, and how many tiles and rows of one there are.
    pub experts: Option<Experts>,
    pub choices: u32,
    /// What the command behind calls.
    pub next: Option<Call<'a>>,
}

#[derive(Clone, Copy)]
pub(super) struct Experts {
    pub tiles: u64,
    pub pairs: u64,
    pub most_tiles: u32,
    pub tile_rows: u32,
}

impl<'a> Product<'a> {
    /// What a dispatch asks for.
    pub fn of(call: &'a Call<'a>) -> Result<Product<'a>, GpuError> {
        let p = call.params;
        let with_experts = call.constant("EXPERTS") == 1;
        let experts = with_experts.then(|| Experts {
            tiles: call.address(8),
            pairs: call.address(9),
            most_tiles: call.groups[1],
            tile_rows: call.constant("ROWS"),
        });
        let first = first_byte(call);
        let behind = |address: u64| if address == 0 { 0 } else { address + first };
        let bias = call.address_if(call.constant("BIAS") == 1, 6);
        Ok(Product {
            call,
            weights: Weights::of(call, 1, p[2], call.float(7), call.float(12))?,
            rows: p[0],
            features: p[1],
            x: call.address(0),
            x_stride: p[3],
            input: call.constant("INPUT"),
            stride: p[2].next_multiple_of(128),
            bias: if with_experts { bias } else { behind(bias) },
            residual: behind(call.address_if(call.constant("RESIDUAL") == 1, 7)),
            out: call.address(if with_experts { 10 } else { 8 }) + first,
            plain: 0,
            out_stride: p[4],
            experts,
            choices: p[10].max(1),
            next: None,
        })
    }

    /// Whether tiles' ends can write outputs: two at a time, and four where rows are whole quads.
    pub fn in_quads(&self) -> bool {
        let begins = [self.out, self.residual, self.plain];
        let whole = !self.out_stride.is_multiple_of(4) || begins.iter().all(|at| at.is_multiple_of(16));
        self.features.is_multiple_of(2) && self.out_stride.is_multiple_of(2) && whole
    }

    /// struct RowSource of the first row.
    pub fn source(&self) -> Arguments {
        let call = self.call;
        let norm = call.address_if(self.input == NORM, 5);
        let arguments = Arguments::new().address(self.x).address(norm);
        let arguments = arguments.words(&[self.weights.columns, self.input, call.constant("GATE")]);
        arguments.floats(&[call.float(8), call.float(9), call.float(6)])
    }

    /// With the sum that the next command makes of the product and as many other values, if that is what it does; how many
    /// commands that were. The product itself is left where it was asked for.
    pub fn with_sum(self, rest: &'a [Command]) -> (Product<'a>, usize) {
        let next = |done: usize| rest.get(done).and_then(Call::of);
        let count = self.rows * self.features;
        let alone = self.experts.is_none() && self.residual == 0 && self.weights.code != F32;
        let whole = first_byte(self.call) == 0 && self.out_stride == self.features;
        let Some(sum) =
            rest.first().and_then(Call::of).filter(|next| alone && whole && is_sum(next.kernel, next.params, count))
        else {
            return (Product { next: next(0), ..self }, 0);
        };
        let [a, b, out] = [0, 1, 2].map(|index| sum.address(index));
        let residual = if a == self.out { b } else { a };
        // Other blocks may still read what a product is made of.
        let input = &self.call.buffers[0];
        let is_apart = out + sum.buffers[2].bytes() <= self.x || self.x + input.bytes() <= out;
        if (a == self.out) == (b == self.out) || !is_apart {
            return (Product { next: next(0), ..self }, 0);
        }
        let plain = if out == self.out { 0 } else { self.out };
        (Product { residual, out, plain, next: next(1), ..self }, 1)
    }

    /// With the copy that the next command sends to another card, if that is what it does; how many commands that were.
    /// It is for kernels that write to both places as they go.
    pub fn with_push(self, rest: &'a [Command]) -> (Product<'a>, usize) {
        let alone = self.experts.is_none() && self.residual == 0 && self.weights.code != F32;
        let whole = first_byte(self.call) == 0 && self.out_stride == self.features;
        let is_push = |next: &Call| {
            next.kernel.name == "cards_push"
                && next.address(0) == self.out
                && next.params == [self.rows * self.features]
        };
        match rest.first().and_then(Call::of).filter(|next| alone && whole && is_push(next)) {
            Some(push) => (Product { plain: push.address(1), next: rest.get(1).and_then(Call::of), ..self }, 1),
            None => (self, 0),
        }
    }
}

/// Where the features begin in a row of the output, the residual and the bias.
pub(super) fn first_byte(call: &Call) -> u64 {
    u64::from(call.params.get(11).copied().unwrap_or(0)) * 4
}
