//! What a checkpoint holds, without loading it: its tensors with their formats, and what it will take to run.
//!
//! Bytes are those of the files; quantized matrices take about as much when they are packed. Read next: `cost.rs`,
//! and `spec.rs` for the text of a spec.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use olivine_formats::gguf;
use olivine_kernels::attention::KvDtype;
use serde_json::{Map, Value, json};

use crate::load::WeightSizes;
use crate::model::Checkpoint;
use crate::spec::{Ffn, ModelSpec};
use crate::weights::Weights;

/// One logical tensor of a checkpoint: a quantized one with its scales and biases is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Name in the file.
    pub name: String,
    /// Storage format of the elements.
    pub format: String,
    /// Logical dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Bytes in the file, scales and biases among them.
    pub bytes: usize,
    /// Whether the values are quantized.
    pub quantized: bool,
    /// What the model uses it for; tensors of other parts (a vision tower) have none.
    pub canonical: Option<&'static str>,
}

/// Tensors that differ in the numbers of their names alone.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryGroup {
    /// The name, numbers as ranges: `model.layers.{0-27}.mlp.up_proj.weight`.
    pub name: String,
    /// Storage format.
    pub format: String,
    /// Logical dimensions of each.
    pub shape: Vec<usize>,
    /// How many there are.
    pub count: usize,
    /// Bytes of all.
    pub bytes: usize,
    /// Whether the model uses them.
    pub used: bool,
}

/// Memory that a model takes, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryNeed {
    /// Tensors that are used.
    pub weights: usize,
    /// Keys and values of one sequence.
    pub keys_and_values: usize,
    /// Recurrent states of one sequence.
    pub states: usize,
}

impl MemoryNeed {
    /// All together.
    pub fn total(&self) -> usize {
        self.weights + self.keys_and_values + self.states
    }
}

impl Checkpoint {
    /// What a GGUF file says of itself; nothing of other files. Long lists are null unless `long`.
    pub fn metadata(&self, long: bool) -> Map<String, Value> {
        let Some(gguf) = self.weights.gguf() else { return Map::new() };
        let whole = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
        let value = |key: &str, value: &gguf::Value| match value {
            gguf::Value::Unsigned(number) => json!(number),
            gguf::Value::Signed(number) => json!(number),
            gguf::Value::Float(number) => json!(number),
            gguf::Value::Bool(value) => json!(value),
            gguf::Value::String(text) => json!(text),
            gguf::Value::Numbers(list) if long || list.len() <= 5 => list.iter().copied().map(whole).collect(),
            gguf::Value::Strings { count, .. } if long || *count <= 5 => {
                gguf.strings(key).map_or(Value::Null, |texts| texts.collect())
            }
            gguf::Value::Numbers(_) | gguf::Value::Strings { .. } => Value::Null,
        };
        gguf.metadata().map(|(key, of_key)| (key.to_string(), value(key, of_key))).collect()
    }

    /// Every tensor in file order.
    pub fn entries(&self) -> Vec<Entry> {
        let purposes = purposes(&self.weights, &self.spec);
        let listing = self.weights.listing();
        let sizes: HashMap<&str, usize> = listing.iter().map(|(name, _, _, bytes)| (&name[..], *bytes)).collect();
        let mut entries = Vec::new();
        let mut absorbed = HashSet::new();
        for (name, dtype, shape, bytes) in &listing {
            let module = module_of(name);
            let canonical = purposes.get(module).copied();
            let mut entry = Entry {
                name: name.clone(),
                format: dtype.clone(),
                shape: shape.clone(),
                bytes: *bytes,
                quantized: false,
                canonical,
            };
            if let Some((format, shape, companions)) = self.weights.quantized_form(name, module) {
                entry.bytes += companions.iter().filter_map(|name| sizes.get(&name[..])).sum::<usize>();
                absorbed.extend(companions);
                entry = Entry { format: format.into(), shape, quantized: true, ..entry };
            }
            entries.push(entry);
        }
        entries.retain(|entry| !absorbed.contains(&entry.name));
        entries
    }

    /// Bytes of the weights that the model uses, as the files have them.
    pub fn weight_sizes(&self) -> WeightSizes {
        let mut sizes = WeightSizes::default();
        for entry in self.entries().iter().filter(|entry| entry.shape.len() > 1) {
            let Some(canonical) = entry.canonical else { continue };
            if canonical == "head" && self.spec.head.tied {
                continue;
            }
            let of_experts = is_of_experts(canonical);
            sizes.experts += if of_experts { entry.bytes } else { 0 };
            sizes.matrices += if of_experts { 0 } else { entry.bytes };
            sizes.quantized += if entry.quantized { entry.bytes } else { 0 };
            sizes.embedding += if canonical == "embedding" { entry.bytes } else { 0 };
        }
        sizes
    }

    /// Memory for one sequence of `tokens`, with keys and values of this type.
    pub fn memory_need(&self, tokens: usize, dtype: KvDtype) -> MemoryNeed {
        let states = self.spec.cache_bytes(0, dtype);
        MemoryNeed {
            weights: self.weight_sizes().total(),
            keys_and_values: self.spec.cache_bytes(tokens, dtype) - states,
            states,
        }
    }
}

/// Fold entries whose names differ in numbers alone, in order of their first appearance.
pub fn fold(entries: &[Entry]) -> Vec<EntryGroup> {
    let mut places: HashMap<(String, &str, &[usize]), usize> = HashMap::new();
    let mut groups: Vec<(EntryGroup, Vec<BTreeSet<usize>>)> = Vec::new();
    for entry in entries {
        let (pattern, numbers) = pattern(&entry.name);
        let place = *places.entry((pattern.clone(), &entry.format, &entry.shape)).or_insert_with(|| {
            let group = EntryGroup {
                name: pattern,
                format: entry.format.clone(),
                shape: entry.shape.clone(),
                count: 0,
                bytes: 0,
                used: entry.canonical.is_some(),
            };
            groups.push((group, vec![BTreeSet::new(); numbers.len()]));
            groups.len() - 1
        });
        let (group, seen) = &mut groups[place];
        group.count += 1;
        group.bytes += entry.bytes;
        seen.iter_mut().zip(numbers).for_each(|(set, number)| {
            set.insert(number);
        });
    }
    let named = |(mut group, seen): (EntryGroup, Vec<BTreeSet<usize>>)| {
        for set in seen {
            group.name = group.name.replacen("{}", &ranges(&set, group.count > 1), 1);
        }
        group
    };
    groups.into_iter().map(named).collect()
}

/// Bytes and number of tensors in each storage format, largest first.
pub fn formats(entries: &[Entry]) -> Vec<(String, usize, usize)> {
    let mut by_name: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for entry in entries {
        let (count, bytes) = by_name.entry(&entry.format).or_default();
        *count += 1;
        *bytes += entry.bytes;
    }
    let mut formats: Vec<_> = by_name.into_iter().map(|(name, (count, bytes))| (name.into(), count, bytes)).collect();
    formats.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    formats
}

/// Module name in the file → what the model calls it.
fn purposes(weights: &Weights, spec: &ModelSpec) -> HashMap<String, &'static str> {
    let mut purposes = HashMap::new();
    let mut add = |canonical, layer, expert| {
        for module in weights.modules(canonical, layer, expert) {
            purposes.entry(module).or_insert(canonical);
        }
    };
    for (canonical, pattern) in weights.patterns() {
        if !pattern.contains("{}") {
            add(canonical, None, None);
            continue;
        }
        for (layer, of) in spec.layers.iter().enumerate() {
            match (&of.ffn, pattern.contains("{e}")) {
                (_, false) => add(canonical, Some(layer), None),
                (Ffn::Moe(moe), true) => (0..moe.experts).for_each(|e| add(canonical, Some(layer), Some(e))),
                (Ffn::Dense { .. }, true) => {}
            }
        }
    }
    purposes
}

/// Whether a token reads only some of it.
fn is_of_experts(canonical: &str) -> bool {
    let part = canonical.strip_prefix("moe.");
    part.is_some_and(|part| matches!(part, "gate" | "up" | "down" | "fused_down") || part.starts_with("stacked_"))
}

/// A tensor's name without the part that says which of its module's tensors it is.
fn module_of(name: &str) -> &str {
    let parts = [".weight_packed", ".weight", ".bias", "_blocks", "_bias"];
    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

/// The name with `{}` for each part that is a number, and the numbers.
fn pattern(name: &str) -> (String, Vec<usize>) {
    let mut numbers = Vec::new();
    let part = |part| match str::parse(part) {
        Ok(number) => {
            numbers.push(number);
            "{}"
        }
        Err(_) => part,
    };
    let parts: Vec<_> = name.split('.').map(part).collect();
    (parts.join("."), numbers)
}

/// `{0-3,8}`, or the number alone where the name stands for one tensor.
fn ranges(numbers: &BTreeSet<usize>, many: bool) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |&(start, end): &(usize, usize)| if start == end { start.to_string() } else { format!("{start}-{end}") };
    let list = runs.iter().map(text).collect::<Vec<_>>().join(",");
    if many { format!("{{{list}}}") } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, format: &str, bytes: usize) -> Entry {
        let (format, shape) = (format.into(), vec![2, 3]);
        Entry { name: name.into(), format, shape, bytes, quantized: false, canonical: Some("ffn.up") }
    }

    #[test]
    fn names_fold_by_their_numbers() {
        let mut entries = vec![entry("embed", "bf16", 1)];
        entries.extend([0, 1, 2, 5].map(|layer| entry(&format!("layers.{layer}.up"), "bf16", 10)));
        entries.push(entry("layers.3.up", "q8_0", 5));
        let groups = fold(&entries);
        let found: Vec<_> = groups.iter().map(|g| (&g.name[..], &g.format[..], g.count, g.bytes)).collect();
        let expected = [("embed", "bf16", 1, 1), ("layers.{0-2,5}.up", "bf16", 4, 40), ("layers.3.up", "q8_0", 1, 5)];
        assert_eq!(found, expected);
        assert_eq!(formats(&entries), [("bf16".to_string(), 5, 41), ("q8_0".to_string(), 1, 5)]);
    }

    #[test]
    fn two_numbers_in_a_name_are_two_ranges() {
        let names = (0..2).flat_map(|layer| (0..3).map(move |expert| format!("l.{layer}.e.{expert}.w")));
        let entries: Vec<_> = names.map(|name| entry(&name, "bf16", 1)).collect();
        assert_eq!(fold(&entries)[0].name, "l.{0-1}.e.{0-2}.w");
    }
}
