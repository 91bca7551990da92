//! The conformance table's machinery: a case is an op, its inputs, dtypes, a naive reference and a tolerance.
//!
//! [`run`] checks one case in every dtype and layout: values against the reference, bits across layouts, and the bits of a
//! replayed plan. A caller repeats that on every SIMD tier. Invariant: inputs are a function of the case alone.
//! Read next: [`crate::cases`].

use olivine_array::{Array, Dtype, Kind, Plan, Range};

use crate::plain::Plain;

/// Numbers an input is drawn from.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// Multiples of 1/64 in the range: exact in every float type for small ranges. Integers for integer dtypes.
    Between(f64, f64),
    /// As `Between`, never 0.
    NonZero(f64, f64),
    /// Thirds of the numbers of `Between`: sums of them are rounded, so that their order shows.
    Rough(f64, f64),
    /// 0 or 1.
    Flag,
    /// Distinct numbers in random order: `0..count`, minus half of them.
    Distinct,
}

/// One input of a case.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values.
    pub domain: Domain,
    /// A fixed dtype (indices, conditions); otherwise the dtype that is being run.
    pub dtype: Option<Dtype>,
}

/// How far results may be from the reference, relative to `max(1, |reference|)`, in units of the dtype's epsilon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(pub f64);

/// Equal.
pub const EXACT: Tolerance = Tolerance(0.0);

/// What a case runs.
pub type Op = Box<dyn Fn(&[Array]) -> Array>;
/// What a case is compared with.
pub type Reference = Box<dyn Fn(&[Plain]) -> Plain>;

/// One row of the table.
pub struct Case {
    /// What it is called in reports.
    pub name: String,
    /// Inputs.
    pub inputs: Vec<InputSpec>,
    /// Dtypes to run in.
    pub dtypes: &'static [Dtype],
    /// The op.
    pub op: Op,
    /// The reference, in f64 on the rounded inputs.
    pub reference: Reference,
    /// Allowed error.
    pub tolerance: Tolerance,
}

/// All floats but f64.
pub const HALVES_AND_SINGLES: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16];
/// All floats.
pub const FLOATS: &[Dtype] = &[Dtype::F32, Dtype::F16, Dtype::Bf16, Dtype::F64];
/// All integers.
pub const INTEGERS: &[Dtype] =
    &[Dtype::U8, Dtype::U16, Dtype::U32, Dtype::U64, Dtype::I8, Dtype::I16, Dtype::I32, Dtype::I64];
/// All dtypes that a real reference can check.
pub const REALS: &[Dtype] = &[
    Dtype::F32,
    Dtype::F16,
    Dtype::Bf16,
    Dtype::F64,
    Dtype::U8,
    Dtype::U16,
    Dtype::U32,
    Dtype::U64,
    Dtype::I8,
    Dtype::I16,
    Dtype::I32,
    Dtype::I64,
];

impl Case {
    /// A case on inputs of `shapes`, all of one domain and of the dtype that is run.
    pub fn new(
        name: &str,
        shapes: &[&[usize]],
        domain: Domain,
        op: impl Fn(&[Array]) -> Array + 'static,
        reference: impl Fn(&[Plain]) -> Plain + 'static,
    ) -> Case {
        let input = |shape: &&[usize]| InputSpec { shape: shape.to_vec(), domain, dtype: None };
        Case {
            name: name.to_string(),
            inputs: shapes.iter().map(input).collect(),
            dtypes: &[Dtype::F32],
            op: Box::new(op),
            reference: Box::new(reference),
            tolerance: EXACT,
        }
    }

    /// One more input, of its own domain and dtype.
    pub fn with(mut self, shape: &[usize], domain: Domain, dtype: Option<Dtype>) -> Case {
        self.inputs.push(InputSpec { shape: shape.to_vec(), domain, dtype });
        self
    }

    /// In these dtypes instead of f32 alone.
    pub fn dtypes(mut self, dtypes: &'static [Dtype]) -> Case {
        self.dtypes = dtypes;
        self
    }

    /// Results may differ by so many epsilons of the result's dtype.
    pub fn within(mut self, epsilons: f64) -> Case {
        self.tolerance = Tolerance(epsilons);
        self
    }
}

/// How the inputs of a run lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Dense, and given away: the op may take the memory over.
    Donated,
    /// Dense and kept.
    Contiguous,
    /// Dimensions stored in reverse order.
    Transposed,
    /// Every second element of a wider array, after a first row that is skipped.
    Strided,
    /// Stored backwards.
    Reversed,
}

/// All placements.
pub const PLACEMENTS: [Placement; 5] =
    [Placement::Contiguous, Placement::Donated, Placement::Transposed, Placement::Strided, Placement::Reversed];

/// Check `case` in every dtype and placement on the tier in use. Panics with the case's name at the first difference.
pub fn run(case: &Case) {
    for &dtype in case.dtypes {
        let inputs: Vec<Array> =
            case.inputs.iter().enumerate().map(|(i, spec)| sample(&case.name, i, spec, dtype)).collect();
        let wanted = (case.reference)(&inputs.iter().map(plain).collect::<Vec<_>>());
        let context = |what: &str| format!("{} in {dtype}, {what}", case.name);
        let expected = (case.op)(&inputs);
        compare(&context("contiguous"), &expected, &wanted, case.tolerance);
        let bits = |array: &Array| array.tensor().contiguous().bytes().to_vec();
        for placement in PLACEMENTS {
            let placed: Vec<Array> = inputs.iter().map(|input| place(input, placement)).collect();
            let result = (case.op)(&placed);
            if placement == Placement::Donated {
                drop(placed);
            }
            assert!(bits(&result) == bits(&expected), "{}", context(&format!("{placement:?}: other bits")));
        }
        let examples: Vec<&Array> = inputs.iter().collect();
        let mut plan = Plan::trace(&examples, |inputs| vec![(case.op)(inputs)]);
        for round in 0..2 {
            let outputs = plan.run(&examples);
            assert!(bits(&outputs[0]) == bits(&expected), "{}", context(&format!("plan, run {round}: other bits")));
        }
    }
}

fn compare(context: &str, got: &Array, wanted: &Plain, tolerance: Tolerance) {
    assert_eq!(got.shape(), wanted.shape, "{context}: shape");
    let epsilon = epsilon(got.dtype());
    let values = got.astype(Dtype::F64).to_vec::<f64>();
    for (i, (&got, &wanted)) in values.iter().zip(&wanted.data).enumerate() {
        let near = (got - wanted).abs() <= tolerance.0 * epsilon * wanted.abs().max(1.0);
        let same = got == wanted || got.is_nan() && wanted.is_nan();
        assert!(near || same, "{context}: element {i} is {got} instead of {wanted}");
    }
}

/// The distance from 1 to the next number.
pub fn epsilon(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F16 => 2f64.powi(-10),
        Dtype::Bf16 => 2f64.powi(-7),
        Dtype::F32 | Dtype::C64 => 2f64.powi(-23),
        Dtype::F64 => 2f64.powi(-52),
        _ => 0.0,
    }
}

fn plain(array: &Array) -> Plain {
    Plain { shape: array.shape().to_vec(), data: array.astype(Dtype::F64).to_vec() }
}

fn sample(name: &str, position: usize, spec: &InputSpec, dtype: Dtype) -> Array {
    let dtype = spec.dtype.unwrap_or(dtype);
    let mut state = name.bytes().fold(position as u64 + 1, |state, byte| next(state ^ u64::from(byte)));
    let count: usize = spec.shape.iter().product();
    let whole = !dtype.is_float();
    let mut draw = |low: f64, high: f64| {
        state = next(state);
        let low = if dtype.kind() == Kind::Unsigned { low.max(0.0) } else { low };
        let steps = if whole { 1.0 } else { 64.0 };
        let span = ((high - low) * steps) as u64 + 1;
        (low * steps).round() / steps + ((state >> 33) % span) as f64 / steps
    };
    let values: Vec<f64> = match spec.domain {
        Domain::Between(low, high) => (0..count).map(|_| draw(low, high)).collect(),
        Domain::Rough(low, high) => (0..count).map(|_| draw(3.0 * low, 3.0 * high) / 3.0).collect(),
        Domain::NonZero(low, high) => {
            let value = |x: f64| if x == 0.0 { high } else { x };
            (0..count).map(|_| value(draw(low, high))).collect()
        }
        Domain::Flag => (0..count).map(|_| f64::from(draw(0.0, 1.0) > 0.5)).collect(),
        Domain::Distinct => {
            let start = if dtype.kind() == Kind::Unsigned { 0.0 } else { -((count / 2) as f64) };
            let mut values: Vec<f64> = (0..count).map(|i| start + i as f64).collect();
            for i in (1..count).rev() {
                state = next(state);
                values.swap(i, (state >> 33) as usize % (i + 1));
            }
            values
        }
    };
    let array = Array::from_slice(&values, &spec.shape).astype(dtype);
    array.eval();
    array
}

/// One step of splitmix64.
fn next(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The same values lying as `placement` says, evaluated and with memory of their own.
fn place(array: &Array, placement: Placement) -> Array {
    let rank = array.rank() as i32;
    let copy = |x: &Array| {
        let dense = x.contiguous();
        Array::from_bytes(dense.tensor().bytes(), x.shape(), x.dtype())
    };
    if rank == 0 {
        return copy(array);
    }
    let all: Vec<i32> = (0..rank).collect();
    let view = match placement {
        Placement::Contiguous | Placement::Donated => copy(array),
        Placement::Transposed => copy(&array.transpose(&[])).transpose(&[]),
        Placement::Reversed => copy(&array.flip(&all)).flip(&all),
        Placement::Strided => {
            let wide = array.repeat(2, -1);
            let padded = olivine_array::concatenate(&[&wide.slice_axis(0, 0..1), &wide], 0);
            let skip = Range { start: Some(1), stop: None, step: 2 };
            let mut ranges = vec![Range::from(1..); 1];
            if rank == 1 {
                return place_strided_vector(array);
            }
            ranges.resize(rank as usize - 1, Range::ALL);
            ranges.push(skip);
            copy(&padded).slice(&ranges)
        }
    };
    view.eval();
    view
}

fn place_strided_vector(array: &Array) -> Array {
    let wide = array.repeat(2, 0);
    let copy = Array::from_bytes(wide.contiguous().tensor().bytes(), wide.shape(), wide.dtype());
    let view = copy.slice(&[Range { start: Some(1), stop: None, step: 2 }]);
    view.eval();
    view
}
