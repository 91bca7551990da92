//! The kernel sources and the specialiser that turns one into a WGSL module.
//!
//! A source is WGSL with lines that begin with `#`: `#if`, `#elif`, `#else`, `#end` choose, `#for i in A..B` … `#end`
//! repeats, `#include name` inserts, and `#buffer name read|write|update type` declares the next binding. `${…}` is
//! replaced by the value of an expression over the kernel's constants and loop variables; the constants are WGSL
//! constants too. Parameters are `struct Params`, of 32-bit fields in the op's order. Read next: `template`.

mod template;

use std::collections::HashMap;

use crate::device::Kernel;
use crate::error::GpuError;
use crate::expression::Language;

/// Every source by name. Those that are only included have no entry point.
const SOURCES: &[(&str, &str)] = &[
    ("math", include_str!("math.wgsl")),
    ("gate", include_str!("gate.wgsl")),
    ("weights", include_str!("weights.wgsl")),
    ("weights_half", include_str!("weights_half.wgsl")),
    ("matrix", include_str!("matrix.wgsl")),
    ("stage", include_str!("stage.wgsl")),
    ("input_params", include_str!("input_params.wgsl")),
    ("input_quad", include_str!("input_quad.wgsl")),
    ("input_value", include_str!("input_value.wgsl")),
    ("matmul", include_str!("matmul.wgsl")),
    ("halves", include_str!("halves.wgsl")),
    ("halves_shared", include_str!("halves_shared.wgsl")),
    ("matmul_halves", include_str!("matmul_halves.wgsl")),
    ("matmul_input", include_str!("matmul_input.wgsl")),
    ("matmul_inputs", include_str!("matmul_inputs.wgsl")),
    ("matmul_next", include_str!("matmul_next.wgsl")),
    ("matmul_norm", include_str!("matmul_norm.wgsl")),
    ("matmul_outputs", include_str!("matmul_outputs.wgsl")),
    ("matmul_row", include_str!("matmul_row.wgsl")),
    ("matmul_row_block", include_str!("matmul_row_block.wgsl")),
    ("matmul_end", include_str!("matmul_end.wgsl")),
    ("matmul_row_end", include_str!("matmul_row_end.wgsl")),
    ("matmul_row_next", include_str!("matmul_row_next.wgsl")),
    ("matmul_row_params", include_str!("matmul_row_params.wgsl")),
    ("matmul_squares", include_str!("matmul_squares.wgsl")),
    ("matmul_store", include_str!("matmul_store.wgsl")),
    ("matmul_tile", include_str!("matmul_tile.wgsl")),
    ("matmul_matrix", include_str!("matmul_matrix.wgsl")),
    ("matmul_matrix_few", include_str!("matmul_matrix_few.wgsl")),
    ("matmul_matrix_one", include_str!("matmul_matrix_one.wgsl")),
    ("matmul_matrix_rounds", include_str!("matmul_matrix_rounds.wgsl")),
    ("matrix_join", include_str!("matrix_join.wgsl")),
    ("staged", include_str!("staged.wgsl")),
    ("attention", include_str!("attention.wgsl")),
    ("attention_keys", include_str!("attention_keys.wgsl")),
    ("attention_values", include_str!("attention_values.wgsl")),
    ("attention_join", include_str!("attention_join.wgsl")),
    ("attention_merge", include_str!("attention_merge.wgsl")),
    ("attention_params", include_str!("attention_params.wgsl")),
    ("attention_rows", include_str!("attention_rows.wgsl")),
    ("attention_tile", include_str!("attention_tile.wgsl")),
    ("embedding", include_str!("embedding.wgsl")),
    ("gather_rows", include_str!("gather_rows.wgsl")),
    ("head_norm", include_str!("head_norm.wgsl")),
    ("head_load", include_str!("head_load.wgsl")),
    ("head", include_str!("head.wgsl")),
    ("head_shared", include_str!("head_shared.wgsl")),
    ("heads", include_str!("heads.wgsl")),
    ("heads_write", include_str!("heads_write.wgsl")),
    ("kv_quad", include_str!("kv_quad.wgsl")),
    ("kv_word", include_str!("kv_word.wgsl")),
    ("kv_write_quantized", include_str!("kv_write_quantized.wgsl")),
    ("rotate", include_str!("rotate.wgsl")),
    ("rotate_queries", include_str!("rotate_queries.wgsl")),
    ("rotation", include_str!("rotation.wgsl")),
    ("kv_write", include_str!("kv_write.wgsl")),
    ("sum_group", include_str!("sum_group.wgsl")),
    ("one", include_str!("one.wgsl")),
    ("norm", include_str!("norm.wgsl")),
    ("elementwise", include_str!("elementwise.wgsl")),
    ("gated", include_str!("gated.wgsl")),
    ("copy", include_str!("copy.wgsl")),
    ("take", include_str!("take.wgsl")),
    ("row_norm", include_str!("row_norm.wgsl")),
    ("row_x", include_str!("row_x.wgsl")),
    ("rows", include_str!("rows.wgsl")),
    ("random", include_str!("random.wgsl")),
    ("scan", include_str!("scan.wgsl")),
    ("sort", include_str!("sort.wgsl")),
    ("greatest", include_str!("greatest.wgsl")),
    ("route", include_str!("route.wgsl")),
    ("sort_pairs", include_str!("sort_pairs.wgsl")),
    ("mix", include_str!("mix.wgsl")),
    ("convolution", include_str!("convolution.wgsl")),
    ("delta", include_str!("delta.wgsl")),
];

/// A WGSL module and how its bindings are used.
#[derive(Clone, Debug)]
pub struct Module {
    /// The text.
    pub text: String,
    /// For each binding whether the kernel writes it.
    pub writes: Vec<bool>,
}

/// Names of the kernels that there are.
pub fn kernels() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().filter(|(_, source)| source.contains("@compute")).map(|(name, _)| *name)
}

/// The module of a kernel. Where `also_written` is true the binding is declared as written although the kernel only
/// reads it, because another binding of the same memory is written. Its missing entries are false.
pub fn module(kernel: &Kernel, also_written: &[bool]) -> Result<Module, GpuError> {
    let fail = |reason: String| GpuError::Kernel { kernel: kernel.name.to_string(), reason };
    let mut values: HashMap<String, i64> = HashMap::new();
    let mut text = String::new();
    for (name, value) in &kernel.constants {
        values.insert(name.to_string(), i64::from(*value));
        text.push_str(&format!("const {name}: u32 = {value}u;\n"));
    }
    let mut output = template::Output { text, writes: vec![], also_written };
    let source = source(kernel.name).ok_or_else(|| fail("there is no such kernel".to_string()))?;
    template::expand(source, &mut values, &source_of, &mut output).map_err(fail)?;
    if let Some(expression) = &kernel.expression {
        output.text = output.text.replace("$EXPRESSION", &expression.print(Language::Wgsl));
    }
    Ok(Module { text: enables_first(&output.text), writes: output.writes })
}

/// WGSL wants them before everything else, and an included source may ask for one too.
fn enables_first(text: &str) -> String {
    let (mut enables, others): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("enable "));
    enables.dedup();
    enables.extend(others);
    enables.join("\n") + "\n"
}

fn source_of(name: &str) -> Option<&'static str> {
    source(name)
}

fn source(name: &str) -> Option<&'static str> {
    SOURCES.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}
