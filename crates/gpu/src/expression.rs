//! Formulas of generated elementwise kernels, printed as WGSL and as CUDA C.
//!
//! A formula is a tree over the inputs of one element. Both printers give the same operations in the same order,
//! with every rounding written out, so that what differs between devices is only their transcendental functions.
//! Read next: [`crate::ops::elementwise`].

use std::fmt::Write;
use std::sync::Arc;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-x`
    Negative,
    /// `|x|`
    Absolute,
    /// `e^x`
    Exp,
    /// Natural logarithm.
    Log,
    /// `ln(1 + x)`
    Log1p,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// Square root.
    Sqrt,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `x * sigmoid(x)`
    Silu,
    /// Gaussian error linear unit, exact.
    Gelu,
    /// The same by its tanh formula.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`
    GeluFast,
    /// `max(x, 0)`
    Relu,
    /// `max(x, 0)^2`
    ReluSquared,
    /// `ln(1 + e^x)`
    Softplus,
    /// Error function.
    Erf,
    /// Round down.
    Floor,
    /// Round up.
    Ceil,
    /// Round to even.
    Round,
}

/// A function of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
    /// `a^b`
    Power,
    /// 1 where `a < b`, else 0.
    Less,
    /// 1 where `a <= b`, else 0.
    LessEqual,
    /// 1 where they are equal, else 0.
    Equal,
}

/// A formula. All values are f32.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    /// Element of the input of this number.
    Input(u32),
    /// A number, as its bits.
    Constant(u32),
    /// The bits of the dispatch's extra parameter of this number, as f32.
    Parameter(u32),
    /// Of one value.
    Unary(Unary, Arc<Expression>),
    /// Of two.
    Binary(Binary, Arc<Expression>, Arc<Expression>),
    /// The second where the first is not zero, else the third.
    Select(Arc<Expression>, Arc<Expression>, Arc<Expression>),
}

/// Whose syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// WGSL; helper functions are in `wgsl/math.wgsl`.
    Wgsl,
    /// CUDA C++; helper functions of the same names are device functions.
    Cuda,
}

impl Expression {
    /// The input of this number.
    pub fn input(index: u32) -> Expression {
        Expression::Input(index)
    }

    /// A number.
    pub fn constant(value: f32) -> Expression {
        Expression::Constant(value.to_bits())
    }

    /// Of this value.
    pub fn unary(self, function: Unary) -> Expression {
        Expression::Unary(function, Arc::new(self))
    }

    /// Of this and another value.
    pub fn binary(self, function: Binary, other: Expression) -> Expression {
        Expression::Binary(function, Arc::new(self), Arc::new(other))
    }

    /// How many inputs it reads: one more than the largest number.
    pub fn inputs(&self) -> u32 {
        match self {
            Expression::Input(index) => index + 1,
            Expression::Constant(_) | Expression::Parameter(_) => 0,
            Expression::Unary(_, a) => a.inputs(),
            Expression::Binary(_, a, b) => a.inputs().max(b.inputs()),
            Expression::Select(a, b, c) => a.inputs().max(b.inputs()).max(c.inputs()),
        }
    }

    /// One expression of `language`, where `x0`, `x1` … are the inputs and `p0`, `p1` … the extra parameters.
    pub fn print(&self, language: Language) -> String {
        let mut text = String::new();
        self.print_into(language, &mut text);
        text
    }

    fn print_into(&self, language: Language, text: &mut String) {
        match self {
            Expression::Input(index) => push(text, format_args!("x{index}")),
            Expression::Parameter(index) => push(text, format_args!("p{index}")),
            Expression::Constant(bits) => match language {
                Language::Wgsl => push(text, format_args!("bitcast<f32>({bits}u)")),
                Language::Cuda => push(text, format_args!("__uint_as_float({bits}u)")),
            },
            Expression::Unary(function, a) => {
                push(text, format_args!("{}(", function.helper()));
                a.print_into(language, text);
                text.push(')');
            }
            Expression::Binary(function, a, b) => {
                push(text, format_args!("{}(", function.helper()));
                a.print_into(language, text);
                text.push_str(", ");
                b.print_into(language, text);
                text.push(')');
            }
            Expression::Select(condition, a, b) => {
                text.push_str("f_select(");
                condition.print_into(language, text);
                for value in [a, b] {
                    text.push_str(", ");
                    value.print_into(language, text);
                }
                text.push(')');
            }
        }
    }
}

impl Unary {
    /// Name of the helper function in both languages.
    pub fn helper(self) -> &'static str {
        match self {
            Unary::Negative => "f_negative",
            Unary::Absolute => "f_absolute",
            Unary::Exp => "f_exp",
            Unary::Log => "f_log",
            Unary::Log1p => "f_log1p",
            Unary::Rsqrt => "f_rsqrt",
            Unary::Sqrt => "f_sqrt",
            Unary::Sin => "f_sin",
            Unary::Cos => "f_cos",
            Unary::Tanh => "f_tanh",
            Unary::Sigmoid => "f_sigmoid",
            Unary::Silu => "f_silu",
            Unary::Gelu => "f_gelu",
            Unary::GeluTanh => "f_gelu_tanh",
            Unary::GeluFast => "f_gelu_fast",
            Unary::Relu => "f_relu",
            Unary::ReluSquared => "f_relu_squared",
            Unary::Softplus => "f_softplus",
            Unary::Erf => "f_erf",
            Unary::Floor => "f_floor",
            Unary::Ceil => "f_ceil",
            Unary::Round => "f_round",
        }
    }
}

impl Binary {
    /// Name of the helper function in both languages.
    pub fn helper(self) -> &'static str {
        match self {
            Binary::Add => "f_add",
            Binary::Subtract => "f_subtract",
            Binary::Multiply => "f_multiply",
            Binary::Divide => "f_divide",
            Binary::Maximum => "f_maximum",
            Binary::Minimum => "f_minimum",
            Binary::Power => "f_power",
            Binary::Less => "f_less",
            Binary::LessEqual => "f_less_equal",
            Binary::Equal => "f_equal",
        }
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments) {
    text.write_fmt(arguments).expect("writing to a string does not fail");
}
