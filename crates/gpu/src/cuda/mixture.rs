//! A whole mixture of experts at once: the dispatches from the choice to the sum become kernels of `chosen.cu`, for a
//! single token, or, on Hopper, of `experts_own.cu`, `experts_few.cu` and `experts.cu`, for more.
//!
//! Invariant: bits are those of the dispatches one by one. What does not fit here (experts of f32, gates apart from their
//! ups) is left to them. Read next: `cuda/chosen.cu`, `cuda/experts.cu`.

use super::arguments::Arguments;
use super::layers;
use super::left;
use super::made::Arrangement;
use super::own::{Own, Rows};
use super::plan::{Call, Left, Plan};
use super::product::{F32, GATED, NORM, Product, first_byte};
use crate::device::Command;
use crate::error::GpuError;
use crate::ops::moe::max_tiles;

/// Most experts of a token in `chosen.cu`, and most columns of its input.
const MAX_ACTIVE: u32 = 16;
const LONG_ROW: u32 = 8192;

/// Weights of routers whose product is known there.
const ROUTERS: [&str; 3] = ["bits4_pair", "bits8", "bf16"];

/// Up to so many tokens one block chooses and sorts.
const FEW_TOKENS: u32 = 64;

/// Most experts of a token there, and its threads.
const FEW_ACTIVE: u32 = 64;
const CHOOSERS: u32 = 512;

/// Most rows of a tile of `experts_few.cu`.
const FEW_ROWS: u32 = 8;

/// Fewer rows than this for an expert on average go there; each of its tiles asks for the weights anew, which costs less where
/// they have 4 bits.
const FEW_OF_EXPERT: u32 = 6;
const FEW_OF_EXPERT_4_BITS: u32 = 12;

/// Bytes that the second cache is asked to bring before experts are chosen, those of one request, and blocks that ask.
const MOST_AHEAD: u64 = 16 << 20;
const AHEAD_PIECE: u64 = 2048;
const AHEAD_BLOCKS: u32 = 16;

/// Shared memory that kernels have besides what they are given.
const OWN_SHARED: u32 = 16 << 10;

/// The dispatches of a mixture.
struct Mixture<'a> {
    route: &'a Call<'a>,
    sort: Call<'a>,
    up: Call<'a>,
    down: Call<'a>,
    mix: Call<'a>,
    /// What the command behind calls.
    next: Option<Call<'a>>,
}

/// Its products, as kernels take them.
struct Products<'a> {
    up: Product<'a>,
    down: Product<'a>,
    tokens: u32,
    experts: u32,
    active: u32,
    /// Columns between the products.
    width: u32,
}

/// A product of rows that are sorted by expert.
struct Sorted {
    /// Rows and their factors.
    made: (u64, u64),
    pairs: u64,
    out: u64,
    gated: bool,
}

/// Rows that are made, each written to some places.
struct Spread {
    /// struct RowSource of the first.
    source: Arguments,
    normed: bool,
    stride: u32,
    places: u64,
    arrangement: Arrangement,
    rows: u32,
    copies: u32,
}

/// Tables of the tiles.
struct Tiles {
    table: u64,
    filled: u64,
    /// Where each pair stands among the sorted ones.
    places: u64,
    most: u32,
    rows: u32,
    /// struct SortArgs.
    sort: Arguments,
}

/// The dispatch `route`, and all of a mixture when `behind` has the rest of one; how many commands of those are done.
pub(super) fn mixture(plan: &mut Plan, route: &Call, behind: &[Command]) -> Result<usize, GpuError> {
    if let Some(mixture) = Mixture::of(route, behind)
        && mixture.start(plan)?
    {
        return Ok(4);
    }
    layers::route(plan, route);
    Ok(0)
}

/// The router's product of a single token, when behind it are the choice by what it gives and the rest of a mixture; how many
/// commands of those are done then.
pub(super) fn routed(plan: &mut Plan, router: &Product, behind: &[Command]) -> Result<Option<usize>, GpuError> {
    let alone = router.rows == 1 && router.experts.is_none() && router.residual == 0 && first_byte(router.call) == 0;
    let makes_row = router.input != GATED && router.weights.columns <= LONG_ROW;
    let weights = router.weights.product_name();
    let is_known = alone && makes_row && ROUTERS.contains(&&*weights);
    let Some((route, rest)) = behind.split_first().filter(|_| is_known) else { return Ok(None) };
    let chooses = |route: &Call| {
        route.kernel.name == "route"
            && (route.groups[0], route.address(0)) == (1, router.out)
            && route.constant("EXPERTS") == router.features
    };
    let Some(route) = Call::of(route).filter(chooses) else { return Ok(None) };
    let Some(mixture) = Mixture::of(&route, rest) else { return Ok(None) };
    let products = mixture.products()?;
    if !products.are_of_one_token(plan) {
        return Ok(None);
    }
    let Some(awaited) = plan.await_words() else { return Ok(None) };
    let left = plan.left.take();
    let arguments = Arguments::new().inner(router.weights.arguments()).inner(router.source());
    let arguments = arguments.inner(Left::arguments(left.as_ref())).address(router.bias).address(router.out);
    let arguments = arguments.address(awaited).words(&[router.features, router.stride]);
    plan.launch(
        format!("chosen_logits_{weights}"),
        [router.features.div_ceil(16), 1, 1],
        256,
        router.stride * 2,
        arguments,
    );
    mixture.chosen(plan, &products, awaited);
    Ok(Some(5))
}

impl<'a> Mixture<'a> {
    /// The mixture that a choice begins, when the commands behind it are the rest of one.
    fn of(route: &'a Call<'a>, behind: &'a [Command]) -> Option<Mixture<'a>> {
        let [sort, up, down, mix, rest @ ..] = behind else { return None };
        let [sort, up, down, mix] = [Call::of(sort)?, Call::of(up)?, Call::of(down)?, Call::of(mix)?];
        let names = [sort.kernel.name, up.kernel.name, down.kernel.name, mix.kernel.name];
        if names != ["sort_pairs", "matmul", "matmul", "mix"] {
            return None;
        }
        let both = |name: &str, value: u32| up.constant(name) == value && down.constant(name) == value;
        if !both("EXPERTS", 1) || !both("RESIDUAL", 0) || down.constant("INPUT") != GATED {
            return None;
        }
        let active = route.constant("ACTIVE");
        let [tokens, dim, choices] = [route.groups[0], mix.params[1], mix.params[2]];
        let sizes = up.constant("INPUT") != GATED
            && choices == active
            && (up.params[10], down.params[10]) == (active, 1)
            && (up.params[0], down.params[0], sort.params[0]) == (tokens * active, tokens * active, tokens * active)
            && (dim, mix.params[0]) == (down.params[1], tokens * dim)
            && (up.params[4], up.params[11]) == (up.params[1], 0)
            && (down.params[4], down.params[11]) == (dim, 0)
            && up.params[1] == 2 * down.params[2];
        let flow = [
            (route.address(2), sort.address(0)),
            (sort.address(2), up.address(8)),
            (sort.address(1), up.address(9)),
            (sort.address(2), down.address(8)),
            (sort.address(1), down.address(9)),
            (up.address(10), down.address(0)),
            (down.address(10), mix.address(0)),
            (route.address(3), mix.address(1)),
        ];
        (sizes && flow.iter().all(|(from, to)| from == to)).then_some(Mixture {
            route,
            sort,
            up,
            down,
            mix,
            next: rest.first().and_then(Call::of),
        })
    }

    /// Start its kernels, if there are some for it.
    fn start(&self, plan: &mut Plan) -> Result<bool, GpuError> {
        let products = self.products()?;
        if products.are_of_one_token(plan) {
            self.chosen(plan, &products, 0);
            return Ok(true);
        }
        let Products { up, down, .. } = &products;
        if !products.are_known() {
            return Ok(false);
        }
        let room = plan.chip.shared_bytes - OWN_SHARED;
        // Rows of results are written four values at a time, and a row is made in shared memory.
        let fits = down.features.is_multiple_of(4) && up.stride.max(down.stride) * 2 <= room;
        if plan.chip.major != 9 || !fits {
            return Ok(false);
        }
        self.sorted(plan, &products)?;
        Ok(true)
    }

    fn products(&self) -> Result<Products<'_>, GpuError> {
        Ok(Products {
            up: Product::of(&self.up)?,
            down: Product::of(&self.down)?,
            tokens: self.route.groups[0],
            experts: self.route.constant("EXPERTS"),
            active: self.route.constant("ACTIVE"),
            width: self.down.params[2],
        })
    }

    /// The residual stream that the result is added to.
    fn residual(&self) -> u64 {
        self.mix.address_if(self.mix.constant("RESIDUAL") == 1, 2)
    }

    /// What is left to the command behind.
    fn leaves(&self, plan: &mut Plan) -> Option<Left> {
        let left =
            left::to_next(plan, self.next.as_ref(), self.mix.address(3), self.route.groups[0], self.mix.params[1]);
        left.filter(|left| !left.gated)
    }

    /// Kernels of a single token, whose logits are there, or are `awaited`.
    fn chosen(&self, plan: &mut Plan, products: &Products, awaited: u64) {
        let Products { up, down, active, width, .. } = products;
        let router = layers::router(self.route);
        let logits = if awaited == 0 { self.route.address(0) } else { 0 };
        let joined = plan.take(u64::from(active * width) * 4);
        let (choice, mixing) = (plan.take(u64::from(*active) * 4), plan.take(u64::from(*active) * 4));
        let arguments = Arguments::new().inner(up.weights.arguments()).inner(up.source()).inner(router);
        let arguments =
            arguments.address(logits).address(awaited).address(up.bias).address(joined).address(choice).address(mixing);
        let left = left::between(plan, &down.weights, *active);
        let arguments = arguments.inner(Left::arguments(left.as_ref()));
        let arguments = arguments.words(&[*width, up.weights.columns, up.stride, self.down.constant("GATE")]);
        let arguments = arguments.floats(&[self.down.float(8), self.down.float(9)]);
        let items = active * width / 16;
        let grid = [items.min(plan.chip.multiprocessors), 1, 1];
        plan.launch(format!("chosen_up_{}", up.weights.product_name()), grid, 512, up.stride * 2, arguments);

        let arguments = Arguments::new().inner(down.weights.arguments()).address(choice).address(mixing);
        let arguments = arguments.address(joined).address(down.bias).address(self.residual());
        let leaves = self.leaves(plan);
        let arguments = arguments.address(self.mix.address(3)).inner(Left::arguments(left.as_ref()));
        let arguments = arguments.inner(Left::arguments(leaves.as_ref())).address(awaited);
        let arguments = arguments.words(&[down.features, *width, down.stride, *active]);
        plan.leaves = leaves;
        let name = format!("chosen_down_{}", down.weights.product_name());
        plan.launch(name, [down.features.div_ceil(32) * 2, 1, 1], 256, products.down_shared(), arguments);
    }

    /// Kernels of rows that are sorted by expert.
    fn sorted(&self, plan: &mut Plan, products: &Products) -> Result<(), GpuError> {
        let Products { up, down, width, .. } = products;
        let (call, pairs) = (&self.down, self.sort.address(1));
        let tiles = self.tiles(plan, products);
        let room = plan.chip.shared_bytes;
        if tiles.rows == FEW_ROWS
            && let (Some(first), Some(second)) = (Own::of(up, tiles.most, room), Own::of(down, tiles.most, room))
        {
            let made = self.rows_of_tokens(plan, products, &tiles);
            let joined = plan.take(u64::from(up.rows) * u64::from(*width) * 4);
            first.launch(plan, (up, tiles.table), (made, pairs), (Some(call), joined))?;
            second.launch(plan, (down, tiles.table), (Rows::Left(joined), pairs), (None, down.out))?;
            let leaves = self.leaves(plan);
            layers::mix(plan, &self.mix, leaves);
            return Ok(());
        }
        self.sort_tokens(plan, products, &tiles);
        let arrangement = if tiles.rows == FEW_ROWS { Arrangement::Lanes } else { Arrangement::Registers };
        let copies = products.active;
        let made = Spread { places: tiles.places, arrangement, copies, ..Mixture::tokens(products) }.start(plan, up);
        let joined = plan.take(u64::from(up.rows) * u64::from(*width) * 4);
        products.launch(plan, up, call, &tiles, &Sorted { made, pairs: 0, out: joined, gated: true })?;
        // Rows of the second product lie as the first one left them.
        let source = Arguments::new().address(joined).address(0).words(&[*width, 0, 0]).floats(&[0.0; 3]);
        let made = Spread { source, normed: false, stride: *width, places: 0, arrangement, rows: down.rows, copies: 1 }
            .start(plan, down);
        products.launch(plan, down, call, &tiles, &Sorted { made, pairs, out: down.out, gated: false })?;
        let leaves = self.leaves(plan);
        layers::mix(plan, &self.mix, leaves);
        Ok(())
    }

    /// A row of each token, as it is made for the first product.
    fn tokens(products: &Products) -> Spread {
        let up = &products.up;
        Spread {
            source: up.source(),
            normed: up.input == NORM,
            stride: up.x_stride,
            places: 0,
            arrangement: Arrangement::Lanes,
            rows: products.tokens,
            copies: 1,
        }
    }

    /// Choose and sort, and make a row of each token, in one kernel where that is enough.
    fn rows_of_tokens(&self, plan: &mut Plan, products: &Products, tiles: &Tiles) -> Rows {
        let Products { up, tokens, .. } = products;
        let spread = Mixture::tokens(products);
        if !products.are_few() {
            self.sort_tokens(plan, products, tiles);
            let (rows, factors) = spread.start(plan, up);
            return Rows::Made(rows, factors);
        }
        let (rows, factors) = spread.room(plan, up);
        let arguments = Arguments::new().inner(layers::route_arguments(self.route)).inner(tiles.sort.clone());
        let (blocks, ahead) = products.ahead();
        let arguments = arguments.inner(spread.arguments(up, rows, factors)).inner(ahead);
        let shared = products.choice_shared().max(up.stride * 2);
        plan.launch("route_sort_rows", [1 + tokens + blocks, 1, 1], CHOOSERS, shared, arguments);
        Rows::Made(rows, factors)
    }

    /// Choose and sort.
    fn sort_tokens(&self, plan: &mut Plan, products: &Products, tiles: &Tiles) {
        if products.are_few() {
            let arguments = Arguments::new().inner(layers::route_arguments(self.route)).inner(tiles.sort.clone());
            plan.launch("route_sort", [1, 1, 1], CHOOSERS, products.choice_shared(), arguments);
        } else {
            layers::route(plan, self.route);
            plan.launch("sort_pairs", [1, 1, 1], 1024, 0, tiles.sort.clone());
        }
    }

    /// How pairs are cut into tiles once they are sorted.
    fn tiles(&self, plan: &mut Plan, products: &Products) -> Tiles {
        let Products { up, experts, .. } = products;
        let fits = few_shared(up).max(few_shared(&products.down)) <= plan.chip.shared_bytes;
        let is_small = [up, &products.down].iter().all(|product| matches!(product.weights.code, 4 | 20));
        let few = if is_small { FEW_OF_EXPERT_4_BITS } else { FEW_OF_EXPERT };
        let rows = match up.rows / experts {
            mean if mean < few && fits => FEW_ROWS,
            0..40 => 64,
            _ => 128,
        };
        let most = max_tiles(up.rows as usize, *experts as usize, rows as usize) as u32;
        let table = plan.take(u64::from(most + 1) * 16);
        let places = plan.take(u64::from(up.rows) * 4);
        let filled = table + u64::from(most) * 16;
        let sort = Arguments::new().address(self.sort.address(0)).address(self.sort.address(1));
        let sort = sort.address(table).address(filled).address(places).words(&[up.rows, most, *experts, rows]);
        Tiles { table, filled, places, most, rows, sort }
    }
}

/// Shared memory of `experts_few`: sums of 8 items, rows, and what belongs to them.
fn few_shared(product: &Product) -> u32 {
    8 * 16_384 + FEW_ROWS * product.stride * 2 + 64
}

impl Spread {
    /// Memory of the rows and of their factors.
    fn room(&self, plan: &mut Plan, product: &Product) -> (u64, u64) {
        let rows = plan.take(u64::from(self.rows * self.copies) * u64::from(product.stride) * 2);
        (rows, plan.take(u64::from(self.rows * self.copies) * 4))
    }

    /// struct SpreadArgs.
    fn arguments(&self, product: &Product, rows: u64, factors: u64) -> Arguments {
        let arguments = Arguments::new().inner(self.source.clone()).address(self.places).address(rows).address(factors);
        let words = [self.stride, product.stride, product.weights.order(), self.arrangement as u32, self.copies];
        arguments.words(&words)
    }

    /// Have them made for a product; gives where they and their factors are.
    fn start(self, plan: &mut Plan, product: &Product) -> (u64, u64) {
        let (rows, factors) = self.room(plan, product);
        // Rows that are not normed have no sums, and are made alike by any number of threads.
        let (threads, narrow) = if self.normed { (256, "") } else { (64, "_narrow") };
        let name = format!("spread_{}{narrow}", product.weights.element());
        plan.launch(name, [self.rows, 1, 1], threads, product.stride * 2, self.arguments(product, rows, factors));
        (rows, factors)
    }
}

impl Products<'_> {
    /// Whether there are kernels for such weights.
    fn are_known(&self) -> bool {
        ![self.up.weights.code, self.down.weights.code].contains(&F32) && self.width.is_multiple_of(32)
    }

    /// Whether they are those of `chosen.cu`.
    fn are_of_one_token(&self, plan: &Plan) -> bool {
        let room = plan.chip.shared_bytes - OWN_SHARED;
        let is_short = self.active <= MAX_ACTIVE && self.up.weights.columns <= LONG_ROW && self.down_shared() <= room;
        self.tokens == 1 && self.are_known() && is_short
    }

    /// Whether one block chooses and sorts.
    fn are_few(&self) -> bool {
        self.tokens <= FEW_TOKENS && self.active <= FEW_ACTIVE
    }

    /// Blocks that have some of the first product's weights brought before experts are chosen, where most of them will be,
    /// and what they need.
    fn ahead(&self) -> (u32, Arguments) {
        let weights = &self.up.weights;
        let matrices = 2 * self.experts;
        let apart = u64::from(self.width / 32) * weights.tile_bytes();
        let bytes = (MOST_AHEAD / u64::from(matrices)).min(apart) / AHEAD_PIECE * AHEAD_PIECE;
        let blocks = if self.up.rows >= self.experts && bytes > 0 { AHEAD_BLOCKS } else { 0 };
        let arguments = Arguments::new().address(weights.parts[0]).address(apart);
        (blocks, arguments.words(&[matrices, bytes as u32]))
    }

    /// Shared memory of who chooses and sorts: scores of a token for each warp, and what all take with its weights.
    fn choice_shared(&self) -> u32 {
        (CHOOSERS / 32 * self.experts + 2 * self.tokens * self.active) * 4
    }

    /// Shared memory of `chosen_down`: rows, the sums of all slices, and exponents of rows that were left.
    fn down_shared(&self) -> u32 {
        let slice = self.width.div_ceil(1024) * 128;
        let exponents = (self.active * self.width / 16).next_multiple_of(16);
        self.active * (self.down.stride * 2 + self.width.div_ceil(slice) * 64) + exponents
    }

    /// Start a kernel for one of the products; `gate` is the call that says how units are gated.
    fn launch(
        &self,
        plan: &mut Plan,
        product: &Product,
        gate: &Call,
        tiles: &Tiles,
        sorted: &Sorted,
    ) -> Result<(), GpuError> {
        let (weights, stride) = (&product.weights, u64::from(product.stride));
        let (rows, factors) = sorted.made;
        let name = format!("experts{}_{}", tiles.rows, weights.product_name());
        let how = Arguments::new().words(&[u32::from(sorted.gated), gate.constant("GATE")]);
        let how = how.floats(&[gate.float(8), gate.float(9)]);
        let chip = plan.chip;
        if tiles.rows == FEW_ROWS {
            let arguments = Arguments::new().inner(weights.arguments()).address(tiles.table).address(tiles.filled);
            let arguments = arguments.address(rows).address(sorted.pairs).address(factors).address(product.bias);
            let arguments = arguments.address(sorted.out).words(&[product.features, weights.columns, product.stride]);
            let shared = few_shared(product);
            plan.launch(name, [chip.multiprocessors, 1, 1], 512, shared, arguments.behind(how));
            return Ok(());
        }
        let (sizes, part) = ([stride, product.rows.into()], [64, tiles.rows]);
        let x = plan.context.tensor_map(weights.code == 30, rows, &sizes, &[stride * 2], &part, true);
        let x = x.map_err(|reason| product.call.error(reason))?;
        let panels = if sorted.gated { self.width.div_ceil(64) } else { product.features.div_ceil(128) };
        let arguments = Arguments::new().map(&x).inner(weights.arguments()).address(tiles.table).address(tiles.filled);
        let arguments = arguments.address(sorted.pairs).address(factors).address(product.bias);
        let arguments = arguments.address(sorted.out).words(&[product.features, weights.columns, panels]);
        let shared = 4 * tiles.rows * 256 + 128 + tiles.rows * 512;
        let blocks = (tiles.most * panels).min(chip.multiprocessors);
        plan.launch(name, [blocks, 1, 1], 256, shared, arguments.behind(how));
        Ok(())
    }
}
