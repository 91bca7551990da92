//! Products: which of the kernels `few.cu`, `team.cu`, `some.cu` and `gemm.cu` take how many rows, and the kernels that make their
//! inputs.
//!
//! One row is made inside the product, and its gates and ups are joined where they are made; more are made by `rows.cu` first, and for many rows quantized weights are
//! unpacked by `unpack.cu`. All of them sum in one order. Weights of f32 have a kernel of their own, for any number of
//! rows. Read next: `cuda/few.cu`.

use super::arguments::Arguments;
use super::plan::{Call, Plan};
use super::team;
use crate::device::Command;
use crate::error::GpuError;
use crate::expression::{Binary, Expression};

/// Up to so many rows every weight is decoded once for all of them (`some.cu`); beyond, weights are unpacked first.
const SOME_ROWS: u32 = 64;

/// Most rows of `few.cu`.
const FEW_ROWS: u32 = 8;

/// From so many rows an expert has on average, experts' weights are unpacked too.
const MANY_OF_EXPERT: u32 = 16;

/// Most bytes that unpacked experts may take.
const MOST_UNPACKED: u64 = 2 << 30;

/// The constants INPUT of rows as they are, and of those that are normed or gated on the way in.
const PLAIN: u32 = 0;
pub(super) const NORM: u32 = 1;
pub(super) const GATED: u32 = 2;

/// From so many columns on a few rows are made by small clusters (`rows_apart.cu`).
const APART_COLUMNS: u32 = 4096;

/// Columns of one row that every block of a product makes by itself.
const LONG_ROW: u32 = 8192;

/// How made rows are laid out: enum Arrangement of `weights.cuh`.
#[derive(Clone, Copy)]
pub(super) enum Arrangement {
    Lanes = 0,
    Products = 1,
    Registers = 2,
    Sixteen = 3,
}

/// Code of weights in f32.
pub(super) const F32: u32 = 32;

/// A matrix as kernels see it: struct Weights of `weights.cuh`.
#[derive(Clone, Copy)]
pub(super) struct Weights {
    pub parts: [u64; 4],
    pub code: u32,
    pub kind: u32,
    pub group: u32,
    zero: u32,
    pub columns: u32,
    factor: f32,
    scale_up: f32,
}

impl Weights {
    /// The matrix whose parts begin at buffer `first`; `factor` of all values, `scale_up` as a [`Matrix`] has it.
    ///
    /// [`Matrix`]: crate::ops::weights::Matrix
    pub fn of(call: &Call, first: usize, columns: u32, factor: f32, scale_up: f32) -> Result<Weights, GpuError> {
        let [code, kind, group, zero] = ["CODE", "SCALE", "GROUP", "ZERO"].map(|name| call.constant(name));
        let there = [true, matches!(code, 3 | 5 | 6), kind != 0, kind == 5 || kind == 6];
        let parts = [0, 1, 2, 3].map(|part| call.address_if(there[part], first + part));
        if !matches!(code, 2 | 3 | 4 | 5 | 6 | 8 | 9 | 20 | 21 | 30 | 31 | F32) {
            return Err(call.error(format!("weights of code {code}")));
        }
        Ok(Weights { parts, code, kind, group, zero, columns, factor, scale_up })
    }

    /// The code as kernels are named for it.
    fn code_name(&self) -> &'static str {
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
            (20, 7) => "_exponent",
            _ => "",
        };
        format!("{}{scales}", self.code_name())
    }

    fn is_dense(&self) -> bool {
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
    fn tile_bytes(&self) -> u64 {
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
    fn ups(&self) -> [f32; 2] {
        match self.code {
            4 => [self.scale_up * (1 << 24) as f32, self.scale_up],
            20 => [16384.0, 0.0],
            _ => [256.0, 256.0],
        }
    }

    /// What products are multiplied by in the end.
    fn result_factor(&self) -> f32 {
        if self.is_dense() || matches!(self.code, 20 | 21) { self.factor } else { self.factor / self.ups()[1] }
    }

    /// Groups whose scales share a word.
    pub fn groups_of_word_log2(&self) -> u32 {
        match self.kind {
            4 | 5 => 1,
            6..=8 => 2,
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
    /// Where the product goes without the residual, too; or 0.
    pub plain: u64,
    pub out_stride: u32,
    /// Tiles of experts and their pairs, and how many tiles and rows of one there are.
    pub experts: Option<Experts>,
    pub choices: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Experts {
    tiles: u64,
    pairs: u64,
    most_tiles: u32,
    tile_rows: u32,
}

/// The dispatch `matmul`, and of the commands behind it as many as its kernels do too; how many those are.
pub(super) fn matmul(plan: &mut Plan, call: &Call, rest: &[Command]) -> Result<usize, GpuError> {
    let product = Product::of(call)?;
    if let Some(next) = rest.first().and_then(Call::of).filter(|next| is_gate_of(&product, next)) {
        let (next, done) = Product::of(&next)?.with_sum(&rest[1..]);
        if product.rows == 1 {
            pair(plan, &product, &next)?;
            return Ok(1 + done);
        }
        if is_pair_of_many(plan, &product, &next) {
            pair_of_many(plan, &product, &next)?;
            return Ok(1 + done);
        }
    }
    let (product, done) = product.with_sum(rest);
    one_or_more(plan, &product)?;
    Ok(done)
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
        })
    }

    /// Whether outputs can be written two at a time.
    fn in_pairs(&self) -> bool {
        self.features.is_multiple_of(2) && self.out_stride.is_multiple_of(2) && first_byte(self.call).is_multiple_of(8)
    }

    /// struct RowSource of the first row.
    pub fn source(&self) -> Arguments {
        self.source_of(self.x, self.input)
    }

    /// The same of other values, and with another input.
    fn source_of(&self, x: u64, input: u32) -> Arguments {
        let call = self.call;
        let norm = call.address_if(input == NORM, 5);
        let arguments = Arguments::new().address(x).address(norm);
        let arguments = arguments.words(&[self.weights.columns, input, call.constant("GATE")]);
        arguments.floats(&[call.float(8), call.float(9), call.float(6)])
    }

    /// With the sum that the next command makes of the product and as many other values, if that is what it does; how many
    /// commands that were. The product itself is left where it was asked for.
    fn with_sum(self, rest: &[Command]) -> (Product<'a>, usize) {
        let count = self.rows * self.features;
        let alone = self.experts.is_none() && self.residual == 0 && self.weights.code != F32;
        let whole = first_byte(self.call) == 0 && self.out_stride == self.features;
        let Some(sum) = rest.first().and_then(Call::of).filter(|next| alone && whole && is_sum(next, count)) else {
            return (self, 0);
        };
        let [a, b, out] = [0, 1, 2].map(|index| sum.address(index));
        let residual = if a == self.out { b } else { a };
        // Other blocks may still read what a product is made of.
        let input = &self.call.buffers[0];
        let is_apart = out + sum.buffers[2].bytes() <= self.x || self.x + input.bytes() <= out;
        if (a == self.out) == (b == self.out) || !is_apart {
            return (self, 0);
        }
        let plain = if out == self.out { 0 } else { self.out };
        (Product { residual, out, plain, ..self }, 1)
    }
}

/// Whether a command adds two times so many values, neighbour to neighbour.
fn is_sum(call: &Call, count: u32) -> bool {
    let Some(Expression::Binary(Binary::Add, a, b)) = call.kernel.expression.as_deref() else { return false };
    let inputs = [a, b].map(|input| match **input {
        Expression::Input(index) => index,
        _ => u32::MAX,
    });
    matches!(inputs, [0, 1] | [1, 0])
        && call.kernel.name == "elementwise"
        && (call.constant("INPUTS"), call.constant("EXTRA")) == (2, 0)
        && call.params == [count, 1, count, 1, count]
}

/// Where the features begin in a row of the output, the residual and the bias.
fn first_byte(call: &Call) -> u64 {
    u64::from(call.params.get(11).copied().unwrap_or(0)) * 4
}

/// Whether `next` multiplies what the gates and ups that `product` makes give.
fn is_gate_of(product: &Product, next: &Call) -> bool {
    let rows = product.rows;
    let alone = |call: &Call| call.constant("EXPERTS") == 0 && call.params[0] == rows && call.constant("CODE") != F32;
    next.kernel.name == "matmul"
        && alone(product.call)
        && alone(next)
        && next.constant("INPUT") == GATED
        && next.address(0) == product.out
        && next.params[2] * 2 == product.features
        && product.features.is_multiple_of(64)
        && product.residual == 0
}

/// Gates and ups of one row, joined where they are made, and the product of what they give.
fn pair(plan: &mut Plan, product: &Product, next: &Product) -> Result<(), GpuError> {
    let call = next.call;
    let joined = Joined {
        values: plan.take(u64::from(next.weights.columns) * 4),
        most: plan.take(u64::from(2 * plan.chip.multiprocessors) * 4),
    };
    let made = (product.input == GATED || product.weights.columns > LONG_ROW)
        .then(|| make_rows(plan, product, 1, Arrangement::Lanes, 0));
    let gate = Gate { joined, act: call.constant("GATE"), alpha: call.float(8), limit: call.float(9) };
    let teams = few(plan, product, 0, 1, &Few { made, gate: Some(gate), row: None })?;
    few(plan, next, 0, 1, &Few { made: None, gate: None, row: Some((joined, teams)) })?;
    Ok(())
}

/// Whether gates and ups of many rows may be joined where they are made: tiles of both, and nobody else who reads them.
fn is_pair_of_many(plan: &Plan, product: &Product, next: &Product) -> bool {
    let of_tiles = |product: &Product| product.in_pairs() && product.rows > SOME_ROWS;
    plan.chip.major == 9
        && of_tiles(product)
        && of_tiles(next)
        && product.out_stride == product.features
        && next.x_stride == product.features
        && first_byte(product.call) == 0
        && plan.is_between(&next.call.buffers[0], product.call, next.call)
}

/// Gates and ups of many rows, joined where they are made, and the product of what they give. They are rounded there too
/// where that needs nothing of the whole row.
fn pair_of_many(plan: &mut Plan, product: &Product, next: &Product) -> Result<(), GpuError> {
    let call = next.call;
    let columns = next.weights.columns;
    let rounded = next.weights.code == 30 && columns == next.stride;
    let values = plan.take(u64::from(product.rows) * u64::from(columns) * if rounded { 2 } else { 4 });
    // What the first product needs beside them, the second one takes again.
    let taken = plan.taken;
    let gate = TileGate { rounded, act: call.constant("GATE"), alpha: call.float(8), limit: call.float(9) };
    let (made, factors) = make_rows(plan, product, product.rows, Arrangement::Products, 0);
    let joined = Product { out: values, out_stride: columns, ..*product };
    tiles(plan, &joined, &Tiles { made, factors, experts: None, gate: Some(gate) })?;
    plan.taken = taken;
    let (made, factors) = if rounded {
        (values, 0)
    } else {
        let plain = Product { x: values, x_stride: columns, input: PLAIN, ..*next };
        make_rows(plan, &plain, next.rows, Arrangement::Products, 0)
    };
    tiles(plan, next, &Tiles { made, factors, experts: None, gate: None })
}

fn one_or_more(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let experts = product.experts;
    let hopper = plan.chip.major == 9;
    if product.weights.code == F32 {
        return f32_weights(plan, product);
    }
    if let Some(experts) = experts {
        return match many_experts(product) {
            Some(count) if hopper && product.in_pairs() => many_of_experts(plan, product, experts, count),
            _ => few_rows(plan, product),
        };
    }
    match product.rows {
        1 => one(plan, product),
        _ if !hopper => few_rows(plan, product),
        rows if rows > SOME_ROWS && product.in_pairs() => {
            let (made, factors) = make_rows(plan, product, rows, Arrangement::Products, 0);
            tiles(plan, product, &Tiles { made, factors, experts: None, gate: None })
        }
        _ if team::team(plan, product) => Ok(()),
        _ => some(plan, product),
    }
}

/// How many experts there are, where so many rows come to each that their weights are better unpacked, and may be.
fn many_experts(product: &Product) -> Option<u32> {
    let tiles = u64::from(product.features.div_ceil(32));
    let experts = product.call.buffers[1].bytes() / (tiles * product.weights.tile_bytes()).max(1);
    let unpacked = experts * tiles * u64::from(product.weights.blocks()) * 2048;
    let experts = u32::try_from(experts).ok()?;
    let fits = experts <= 512 && (product.weights.is_dense() || unpacked <= MOST_UNPACKED);
    (fits && product.rows >= MANY_OF_EXPERT * experts).then_some(experts)
}

/// How rows are made, and the pairs that say which row each is made of.
struct Made {
    name: String,
    element_bytes: u64,
    rows: u32,
    arrangement: Arrangement,
    pairs: u64,
}

/// Have rows made; gives where they and their factors are.
fn make(plan: &mut Plan, product: &Product, made: &Made) -> (u64, u64) {
    let (call, weights) = (product.call, &product.weights);
    let room = if let Arrangement::Sixteen = made.arrangement { team::ROWS } else { made.rows };
    let rows = plan.take(u64::from(room) * u64::from(product.stride) * made.element_bytes);
    let factors = plan.take(u64::from(made.rows) * 4);
    let norm = call.address_if(product.input == NORM, 5);
    let arguments =
        Arguments::new().address(product.x).address(norm).address(made.pairs).address(rows).address(factors);
    let words = [weights.columns, product.x_stride, product.stride, product.input, call.constant("GATE")];
    let arguments = arguments.words(&words).words(&[weights.order(), made.arrangement as u32, product.choices]);
    let arguments = arguments.floats(&[call.float(8), call.float(9), call.float(6)]);
    // Rows without sums are made alike by any number of threads. Those of many rows have kernels that take few registers.
    let whole = weights.columns.is_multiple_of(4) && product.x_stride.is_multiple_of(4) && product.x.is_multiple_of(16);
    let many = made.rows > SOME_ROWS && whole;
    let (suffix, threads) = match (product.input, weights.columns) {
        _ if made.element_bytes != 2 => ("", 256),
        (GATED, _) => ("_wide", 1024),
        (NORM, ..=4096) if many => ("_normed", 256),
        (PLAIN, ..=4096) if many => ("_plain", 256),
        (PLAIN, _) if many => ("_long", 512),
        _ => ("", 256),
    };
    let wide = suffix == "_wide";
    let dense_few = weights.is_dense() && made.rows <= team::ROWS;
    let apart = plan.chip.major == 9
        && matches!(made.arrangement, Arrangement::Sixteen | Arrangement::Registers)
        && made.rows <= SOME_ROWS
        && weights.columns >= APART_COLUMNS
        && !dense_few;
    if apart {
        let blocks = if wide { 8 } else { 4 };
        let name = format!("rows_apart_{}{suffix}", made.name);
        plan.launch_clusters(name, [made.rows * blocks, 1, 1], (threads / blocks, blocks), 0, arguments);
    } else {
        plan.launch(format!("rows_{}{suffix}", made.name), [made.rows, 1, 1], threads, 0, arguments);
    }
    (rows, factors)
}

/// The same, as halves or bf16: what a product's weights are multiplied with.
pub(super) fn make_rows(
    plan: &mut Plan,
    product: &Product,
    rows: u32,
    arrangement: Arrangement,
    pairs: u64,
) -> (u64, u64) {
    let name = product.weights.element().to_string();
    make(plan, product, &Made { name, element_bytes: 2, rows, arrangement, pairs })
}

/// A product of one row. Gates, and long rows, cost more than a kernel of their own: not every block makes them again.
fn one(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let made = (product.input == GATED || product.weights.columns > LONG_ROW)
        .then(|| make_rows(plan, product, 1, Arrangement::Lanes, 0));
    few(plan, product, 0, 1, &Few { made, ..Few::default() }).map(|_| ())
}

/// Products of a few rows at a time; of experts, tile by tile.
fn few_rows(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let x_rows = if product.experts.is_some() { product.rows.div_ceil(product.choices) } else { product.rows };
    let made = make_rows(plan, product, x_rows, Arrangement::Lanes, 0);
    if product.experts.is_some() {
        return few(plan, product, 0, product.rows, &Few { made: Some(made), ..Few::default() }).map(|_| ());
    }
    let room = plan.chip.shared_bytes.saturating_sub(4 * FEW_ROWS * 1024) / (product.stride * 2);
    let most = room.clamp(1, FEW_ROWS);
    let mut first = 0;
    while first < product.rows {
        let rows = (product.rows - first).min(most);
        few(plan, product, first, rows, &Few { made: Some(made), ..Few::default() })?;
        first += rows;
    }
    Ok(())
}

/// Half tiles that a team of warps takes together, `least` or more: few waits, and none left with more work than others.
pub(super) fn group_of(halves: u32, teams: u32, least: u32) -> u32 {
    let work = |of: u32| (halves / of).div_ceil(teams) * of;
    let fits = |of: &u32| *of >= least && halves.is_multiple_of(*of);
    [4, 2, 1].into_iter().filter(fits).min_by_key(|&of| work(of)).unwrap_or(least)
}

/// What surrounds a product of few rows.
#[derive(Clone, Copy, Default)]
struct Few {
    /// Rows and their factors, where they are made already.
    made: Option<(u64, u64)>,
    /// One row: its features are gates and ups.
    gate: Option<Gate>,
    /// One row: what gates and ups gave, and how many teams have met a largest magnitude.
    row: Option<(Joined, u32)>,
}

/// What gates and ups of a row give, and the largest magnitude of it that each team of warps met.
#[derive(Clone, Copy)]
struct Joined {
    values: u64,
    most: u64,
}

#[derive(Clone, Copy)]
struct Gate {
    joined: Joined,
    act: u32,
    alpha: f32,
    limit: f32,
}

/// A product of few rows, of one made inside or of `made` ones; gives how many teams of warps have it.
fn few(plan: &mut Plan, product: &Product, first: u32, rows: u32, around: &Few) -> Result<u32, GpuError> {
    let (call, weights, chip) = (product.call, &product.weights, plan.chip);
    let most = product.experts.map_or(rows, |experts| experts.tile_rows);
    let (columns, teams) = if most == 1 && product.experts.is_none() { (1, 2) } else { (FEW_ROWS, 1) };
    let name = format!("few{columns}_{}", weights.product_name());
    let shared_of = |of_group: u32| teams * of_group * 2 * 8 * columns * 64 + 256 + most * product.stride * 2;
    // As many blocks of a processor as its memory allows, and registers.
    let blocks = if teams == 2 { 1 } else { ((chip.shared_bytes + 1024) / (shared_of(4) + 1024)).clamp(1, 2) };
    let halves = product.features.div_ceil(32) * 2;
    let stacks = product.experts.map_or(1, |experts| experts.most_tiles);
    let of_stack = (chip.multiprocessors * blocks).div_ceil(stacks.min(8));
    let of_group = group_of(halves, of_stack * teams, if around.gate.is_some() { 2 } else { 1 });
    if shared_of(of_group) > chip.shared_bytes {
        return Err(call.error("its memory of a block is more than this device has"));
    }
    let groups = halves / of_group;
    let across = groups.min(of_stack);
    let source = around.row.map_or_else(|| product.source(), |(joined, _)| product.source_of(joined.values, 0));
    let skipped = |bytes_of_row: u64| u64::from(first) * bytes_of_row;
    let of_row = |address: u64| if address == 0 { 0 } else { address + skipped(u64::from(product.out_stride) * 4) };
    let (made, factors) = around
        .made
        .map_or((0, 0), |(made, factors)| (made + skipped(u64::from(product.stride) * 2), factors + skipped(4)));
    let arguments = Arguments::new().inner(weights.arguments()).inner(source).address(made).address(factors);
    let (tiles, pairs) = product.experts.map_or((0, 0), |experts| (experts.tiles, experts.pairs));
    let arguments = arguments.address(tiles).address(pairs).address(product.bias);
    let arguments = arguments.address(of_row(product.residual)).address(of_row(product.out));
    let arguments = arguments.address(of_row(product.plain));
    let joined = around.gate.map_or(Joined { values: 0, most: 0 }, |gate| gate.joined);
    let (row_most, row_mosts) = around.row.map_or((0, 0), |(joined, teams)| (joined.most, teams));
    let arguments = arguments.address(joined.values).address(joined.most).address(row_most);
    let sizes = [rows, product.features, weights.columns, product.stride, product.out_stride, of_group, groups];
    let (act, alpha, limit) = around.gate.map_or((0, 0.0, 0.0), |gate| (gate.act, gate.alpha, gate.limit));
    let arguments = arguments.words(&sizes).words(&[product.choices, row_mosts, act]).floats(&[alpha, limit]);
    plan.launch(name, [across, stacks, 1], 256 * teams, shared_of(of_group), arguments);
    Ok(across * teams)
}

/// How `some.cu` splits a product: groups of four warps of a block, 64 features each, and blocks that share a panel's columns.
struct Panels {
    groups: u32,
    parts: u32,
}

impl Panels {
    /// So that processors have alike to do, as measured. Blocks of three groups have a processor for themselves; clusters of
    /// four or eight such blocks do not fill every group of processors, and those of two groups lie two on one.
    fn of(features: u32, width: u32, multiprocessors: u32) -> Panels {
        let (three, two) = (features.div_ceil(192), features.div_ceil(128));
        let clusters = |parts: u32| multiprocessors / parts - multiprocessors / parts / 8;
        let (groups, parts) = match width {
            64 if three <= clusters(8) => (3, 8),
            64 if three <= clusters(4) => (3, 4),
            64 if two * 2 <= multiprocessors => (2, 2),
            64 if three * 2 <= multiprocessors => (3, 2),
            64 if two > multiprocessors && three <= multiprocessors => (3, 1),
            64 => (2, 1),
            _ if two * 8 <= multiprocessors * 2 => (2, 8),
            _ if two * 2 <= multiprocessors * 2 => (2, 2),
            _ => (2, 1),
        };
        Panels { groups, parts }
    }
}

/// Products of 17 to 64 rows at a time, on Hopper.
fn some(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let (call, weights) = (product.call, &product.weights);
    let (made, factors) = make_rows(plan, product, product.rows, Arrangement::Registers, 0);
    for first in (0..product.rows).step_by(SOME_ROWS as usize) {
        let rows = (product.rows - first).min(SOME_ROWS);
        let width = rows.next_power_of_two().max(32);
        let Panels { groups, parts } = Panels::of(product.features, width, plan.chip.multiprocessors);
        let (panel, panels) = (64 * groups, product.features.div_ceil(64 * groups));
        let skipped = |bytes_of_row: u64| u64::from(first) * bytes_of_row;
        let of_row = |address: u64| if address == 0 { 0 } else { address + skipped(u64::from(product.out_stride) * 4) };
        let stride = u64::from(product.stride);
        let at = made + skipped(stride * 2);
        let (sizes, part) = ([stride, rows.into()], [64, width]);
        let x = plan.context.tensor_map(weights.code == 30, at, &sizes, &[stride * 2], &part, true);
        let x = x.map_err(|reason| call.error(reason))?;
        let arguments = Arguments::new().map(&x).inner(weights.arguments()).address(factors + skipped(4));
        let arguments = arguments.address(product.bias).address(of_row(product.residual)).address(of_row(product.out));
        let arguments = arguments.address(of_row(product.plain));
        let slots = if parts == 1 { 1 } else { 8 / parts };
        let sums = slots * width * panel * 4 + 512;
        // Stretches of rows on their way: those of a narrow product are here sooner.
        let most = if groups == 3 {
            8
        } else if width == 64 {
            4
        } else {
            3
        };
        let stages = most.min((plan.chip.shared_bytes - sums) / (width * 256));
        let sizes = [rows, product.features, weights.columns, product.out_stride, parts, stages];
        let shared = stages * width * 256 + sums;
        let wide = if groups == 3 { "_wide" } else { "" };
        let name = format!("some{width}{wide}_{}", weights.product_name());
        plan.launch_clusters(name, [panels * parts, 1, 1], (128 * groups, parts), shared, arguments.words(&sizes));
    }
    Ok(())
}

/// What surrounds a product in tiles.
struct Tiles {
    /// Rows and their factors; no factors: ones.
    made: u64,
    factors: u64,
    /// Rows sorted by expert: pairs, where each expert's rows begin, and how many experts.
    experts: Option<(u64, u64, u32)>,
    /// The features are gates and ups.
    gate: Option<TileGate>,
}

struct TileGate {
    /// What they give is left as rows of bf16.
    rounded: bool,
    act: u32,
    alpha: f32,
    limit: f32,
}

/// A product of many rows of experts, which are sorted.
fn many_of_experts(plan: &mut Plan, product: &Product, experts: Experts, count: u32) -> Result<(), GpuError> {
    let offsets = plan.take(u64::from(count + 1) * 4);
    let arguments = Arguments::new().address(experts.tiles).address(offsets).words(&[experts.most_tiles, count]);
    plan.launch("expert_offsets", [1, 1, 1], 512, 0, arguments);
    let (made, factors) = make_rows(plan, product, product.rows, Arrangement::Products, experts.pairs);
    tiles(plan, product, &Tiles { made, factors, experts: Some((experts.pairs, offsets, count)), gate: None })
}

/// A product of many rows, tile by tile.
fn tiles(plan: &mut Plan, product: &Product, around: &Tiles) -> Result<(), GpuError> {
    let (call, weights) = (product.call, &product.weights);
    let (pairs, offsets, count) = around.experts.unwrap_or((0, 0, 1));
    let row_tiles = u64::from(product.features.div_ceil(32) * count);
    let (dense, blocks) = if weights.is_dense() {
        (weights.parts[0], u64::from(weights.blocks()))
    } else {
        let stretches = u64::from(weights.blocks().div_ceil(4));
        let dense = plan.take(row_tiles * stretches * 4 * 2048);
        let arguments = Arguments::new().inner(weights.arguments()).address(dense).words(&[row_tiles as u32 * 32]);
        let name = format!("unpack_{}", weights.code_name());
        plan.launch(name, [(row_tiles * stretches).div_ceil(8) as u32, 1, 1], 256, 0, arguments);
        (dense, stretches * 4)
    };
    let processors = plan.chip.multiprocessors;
    // Of experts, each may have a block that is not full.
    let row_blocks = if count > 1 { product.rows / 128 + count } else { product.rows.div_ceil(128) };
    let waves = |width: u32| (row_blocks * product.features.div_ceil(width)).div_ceil(processors);
    // The narrower tile asks more of the second cache.
    let narrow = around.gate.is_none() && waves(128) * 128 * 21 < waves(192) * 192 * 20;
    let width: u32 = if narrow { 128 } else { 192 };
    let stages = if width == 192 { 5 } else { 6 };
    let brain = weights.code == 30;
    let context = plan.context;
    let stride = u64::from(product.stride);
    let x = context.tensor_map(brain, around.made, &[stride, product.rows.into()], &[stride * 2], &[64, 128], true);
    let halves = if around.gate.is_some() { 2 } else { 1 };
    let sizes = [256, row_tiles / halves, halves, blocks * 4];
    let strides = [blocks * 2048, row_tiles / halves * blocks * 2048, 512];
    let part = [256, width / 32 / halves as u32, halves as u32, 8];
    let w = context.tensor_map(brain, dense, &sizes, &strides, &part, false);
    let (x, w) = (x.map_err(|reason| call.error(reason))?, w.map_err(|reason| call.error(reason))?);
    let arguments = Arguments::new().map(&x).map(&w).address(offsets).address(pairs).address(around.factors);
    let arguments = arguments.address(product.bias).address(product.residual).address(product.out);
    let arguments = arguments.address(product.plain);
    let (rounded, act, alpha, limit) =
        around.gate.as_ref().map_or((false, 0, 0.0, 0.0), |gate| (gate.rounded, gate.act, gate.alpha, gate.limit));
    let arguments = arguments.floats(&[weights.result_factor(), alpha, limit]);
    let sizes = [product.rows, product.features, weights.columns, product.out_stride, u32::from(rounded), act, count];
    let grid = [(row_blocks * product.features.div_ceil(width)).min(processors), 1, 1];
    let shared = stages * (128 + width) * 128 + 1024 + 128;
    let kind = match (around.experts, &around.gate) {
        (Some(_), _) => "experts_",
        (None, Some(_)) => "gated_",
        (None, None) => "",
    };
    plan.launch(format!("gemm_{kind}{}_{width}", weights.element()), grid, 384, shared, arguments.words(&sizes));
    Ok(())
}

/// A product with weights of f32. One row is made inside it.
fn f32_weights(plan: &mut Plan, product: &Product) -> Result<(), GpuError> {
    let weights = &product.weights;
    let sizes = [product.rows, product.features, weights.columns, product.stride, product.out_stride, product.choices];
    let with = |rows: u64, tiles: u64, pairs: u64| {
        let arguments = Arguments::new().inner(weights.arguments()).address(rows).address(tiles).address(pairs);
        arguments.address(product.bias).address(product.residual).address(product.out).words(&sizes)
    };
    let lone = product.experts.is_none() && product.rows == 1;
    if lone && product.input != GATED && weights.columns <= LONG_ROW {
        let arguments = Arguments::new().inner(with(0, 0, 0)).inner(product.source());
        plan.launch("product_f32_row", [product.features.div_ceil(4), 1, 1], 512, product.stride * 4, arguments);
        return Ok(());
    }
    let x_rows = product.experts.map_or(product.rows, |_| product.rows.div_ceil(product.choices));
    let made =
        Made { name: "f32".to_string(), element_bytes: 4, rows: x_rows, arrangement: Arrangement::Lanes, pairs: 0 };
    let (rows, _) = make(plan, product, &made);
    let (tiles, pairs) = product.experts.map_or((0, 0), |experts| (experts.tiles, experts.pairs));
    // So many rows, and outputs, for a block.
    let (name, of_rows, of_outputs) = match product.experts {
        None if product.rows > SOME_ROWS => ("product_f32_many", 16, 16),
        _ => ("product_f32", FEW_ROWS, 4),
    };
    let stacks = product.experts.map_or(product.rows.div_ceil(of_rows), |experts| experts.most_tiles);
    let grid = [product.features.div_ceil(of_outputs), stacks, 1];
    plan.launch(name, grid, 512, 0, with(rows, tiles, pairs));
    Ok(())
}
