//! The paged KV cache of one layer: its layout in memory, writing tokens, reading them back.
//!
//! Sixteen consecutive positions form a group. Inside a group the keys lie with positions as lanes
//! (`[key_dim][16]`, in bf16 `[key_dim / 2][16][2]`), so that sixteen scores grow in one register; the values lie
//! with dimensions as lanes (`[16][value_dim]`, in bf16 `[8][value_dim][2]`), so that an output row grows in
//! registers. Neither product needs a horizontal sum. A page is `[kv_heads][keys, values][page_tokens / 16]` groups.
//! In 8 and 4 bits the integers lie as bf16 does, behind sixteen scales.
//! The layout is the same on every tier, so raw pages may be stored and moved between machines of one byte order.
//! Invariant: the second half of a bf16 pair is zero until its own position is written. Read next: `tile`.

use super::RaggedBatch;
use super::element::GROUP;
use super::quantized::{self, SCALE_BYTES};
use crate::convert;
use crate::pages::Pages;
use crate::pool::Pool;
use crate::simd::{Simd, tiered};
use half::{bf16, f16};
use std::ops::Range;

/// Pages are allocated in chunks of about this many bytes; they become resident only when they are written.
const CHUNK_BYTES: usize = 4 << 20;

/// How many rows before its turn a row is asked for: they lie too far apart for the processor to guess.
const ROWS_AHEAD: usize = 4;

/// How cached keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvDtype {
    /// Exact: all arithmetic is f32.
    F32,
    /// Stored as f16, multiplied as f32.
    F16,
    /// Stored as bf16; queries and probabilities are rounded to bf16 where the processor multiplies bf16.
    Bf16,
    /// Rotated and stored in 8 bits, multiplied as bf16.
    Q8,
    /// Rotated and stored in 4 bits, multiplied as bf16.
    Q4,
}

impl KvDtype {
    /// Bytes of `values` values, without scales.
    pub fn bytes_of(self, values: usize) -> usize {
        match self {
            KvDtype::F32 => 4 * values,
            KvDtype::F16 | KvDtype::Bf16 => 2 * values,
            KvDtype::Q8 => values,
            KvDtype::Q4 => values.div_ceil(2),
        }
    }

    /// Bytes of the scale of a position's key (or value) in one head.
    pub fn scale_bytes(self) -> usize {
        if self.is_quantized() { SCALE_BYTES / GROUP } else { 0 }
    }

    /// Whether keys and values are integers with scales.
    pub fn is_quantized(self) -> bool {
        matches!(self, KvDtype::Q8 | KvDtype::Q4)
    }

    /// Whether two dimensions of a key, or two positions of a value, are neighbours.
    pub(super) fn is_paired(self) -> bool {
        matches!(self, KvDtype::Bf16 | KvDtype::Q8 | KvDtype::Q4)
    }
}

/// The shape of one layer's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvLayout {
    /// Heads of keys and values (1 for MLA's latents).
    pub kv_heads: usize,
    /// Width of a key.
    pub key_dim: usize,
    /// Width of a value.
    pub value_dim: usize,
    /// Positions in a page: a multiple of 16.
    pub page_tokens: usize,
    /// Storage type.
    pub dtype: KvDtype,
}

impl KvLayout {
    /// Values of one position's value as stored: whole vectors.
    pub(super) fn value_stride(&self) -> usize {
        self.value_dim.next_multiple_of(GROUP)
    }

    /// Steps of the inner product of a query with a key: pairs in bf16, single values otherwise.
    pub(super) fn key_steps(&self) -> usize {
        if self.dtype.is_paired() { self.key_dim.div_ceil(2) } else { self.key_dim }
    }

    /// Integers of a group's keys and of its values, where they are quantized.
    pub(super) fn group_integers(&self) -> (usize, usize) {
        (2 * GROUP * self.key_steps(), GROUP * self.value_stride())
    }

    /// Bytes of a group's keys: whole cache lines.
    pub(super) fn key_group_bytes(&self) -> usize {
        let values = if self.dtype.is_paired() { 2 * GROUP } else { GROUP } * self.key_steps();
        (self.dtype.bytes_of(values) + GROUP * self.dtype.scale_bytes()).next_multiple_of(64)
    }

    /// Bytes of a group's values.
    pub(super) fn value_group_bytes(&self) -> usize {
        (self.dtype.bytes_of(GROUP * self.value_stride()) + GROUP * self.dtype.scale_bytes()).next_multiple_of(64)
    }

    /// Which value of a group's keys is dimension `dim` of position `lane`.
    fn key_index(&self, dim: usize, lane: usize) -> usize {
        if self.dtype.is_paired() { (dim / 2 * GROUP + lane) * 2 + dim % 2 } else { dim * GROUP + lane }
    }

    /// Which value of a group's values is dimension `dim` of position `lane`.
    fn value_index(&self, dim: usize, lane: usize) -> usize {
        let stride = self.value_stride();
        if self.dtype.is_paired() { (lane / 2 * stride + dim) * 2 + lane % 2 } else { lane * stride + dim }
    }

    fn page_groups(&self) -> usize {
        self.page_tokens / GROUP
    }

    fn head_bytes(&self) -> usize {
        self.page_groups() * (self.key_group_bytes() + self.value_group_bytes())
    }

    /// Bytes of one page.
    pub fn page_bytes(&self) -> usize {
        self.kv_heads * self.head_bytes()
    }

    /// Where group `group` of `head` begins inside a page: its keys, its values.
    fn group_offsets(&self, head: usize, group: usize) -> (usize, usize) {
        let head_start = head * self.head_bytes();
        let values_start = head_start + self.page_groups() * self.key_group_bytes();
        (head_start + group * self.key_group_bytes(), values_start + group * self.value_group_bytes())
    }
}

/// The pages of one layer's keys and values. Which page belongs to which sequence is the caller's business.
pub struct KvCacheLayer {
    layout: KvLayout,
    chunks: Vec<Pages>,
    pages_per_chunk: usize,
    pages: usize,
}

impl KvCacheLayer {
    /// An empty cache. Panics when the layout is none: a zero, or pages that are not whole groups of 16.
    pub fn new(layout: KvLayout) -> KvCacheLayer {
        let KvLayout { kv_heads, key_dim, value_dim, page_tokens, .. } = layout;
        assert!(kv_heads > 0 && key_dim > 0 && value_dim > 0, "[kv_cache] empty layout {layout:?}");
        assert!(page_tokens > 0 && page_tokens.is_multiple_of(GROUP), "[kv_cache] page of {page_tokens} tokens");
        let pages_per_chunk = (CHUNK_BYTES / layout.page_bytes()).max(1);
        KvCacheLayer { layout, chunks: Vec::new(), pages_per_chunk, pages: 0 }
    }

    /// Its shape.
    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Pages that may be used: indices below this.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Bytes allocated. Untouched pages among them are not resident.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * self.pages_per_chunk * self.layout.page_bytes()
    }

    /// Have at least `pages` pages. Present pages stay where they are.
    pub fn grow(&mut self, pages: usize) {
        while self.chunks.len() * self.pages_per_chunk < pages {
            // Long contexts get huge pages; the first chunk does not, so that a short chat stays small.
            let huge = !self.chunks.is_empty();
            self.chunks.push(Pages::zeroed(self.pages_per_chunk * self.layout.page_bytes(), huge));
        }
        self.pages = self.pages.max(pages);
    }

    /// Give back the chunks behind the first `pages` pages.
    pub fn shrink(&mut self, pages: usize) {
        self.chunks.truncate(pages.div_ceil(self.pages_per_chunk));
        self.pages = self.pages.min(pages);
    }

    /// The raw bytes of a page, in the layout that the module describes.
    pub fn page(&self, page: u32) -> &[u8] {
        // SAFETY: inside a chunk that lives as long as the borrow; all bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.page_start(page), self.layout.page_bytes()) }
    }

    /// The raw bytes of a page, to be filled with what [`KvCacheLayer::page`] gave for the same layout.
    pub fn page_mut(&mut self, page: u32) -> &mut [u8] {
        // SAFETY: as in `page`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.page_start(page), self.layout.page_bytes()) }
    }

    /// Copy a whole page (before writing to one that is shared).
    pub fn copy_page(&mut self, from: u32, to: u32) {
        if from != to {
            // SAFETY: two different pages do not overlap, and the borrow is exclusive.
            unsafe {
                std::ptr::copy_nonoverlapping(self.page_start(from), self.page_start(to), self.layout.page_bytes())
            }
        }
    }

    /// Store the keys and values of every row of `batch` at its position. Rows of a page that two sequences share
    /// overwrite each other in the order of the batch.
    ///
    /// `keys`: `[tokens, kv_heads, key_dim]`, `values`: `[tokens, kv_heads, value_dim]`.
    pub fn write(&mut self, pool: &Pool, keys: &[f32], values: &[f32], batch: &RaggedBatch) {
        let KvLayout { kv_heads, key_dim, value_dim, .. } = self.layout;
        let from = Rows {
            keys,
            values,
            key_row: kv_heads * key_dim,
            key_head: key_dim,
            value_row: kv_heads * value_dim,
            value_head: value_dim,
        };
        self.write_rows(pool, &from, batch);
    }

    /// [`KvCacheLayer::write`] from any arrangement of rows and heads.
    pub(super) fn write_rows(&mut self, pool: &Pool, from: &Rows, batch: &RaggedBatch) {
        let layout = self.layout;
        let this = &*self;
        let rows: usize = batch.sequences.iter().map(|sequence| sequence.rows).sum();
        // Each part writes bytes of its own whatever the pages are: one head's keys or values, or a stripe of them (but
        // a vector that is rotated is one).
        let stripes = (2 * pool.threads()).div_ceil(2 * layout.kv_heads).max(1);
        let stripes = if layout.dtype.is_quantized() { 1 } else { stripes };
        let part = |part: usize| {
            let (head, half, stripe) = (part / (2 * stripes), part / stripes % 2, part % stripes);
            let width = if half == 0 { layout.key_dim } else { layout.value_dim };
            let step = width.div_ceil(stripes).next_multiple_of(2);
            let stripe = (stripe * step).min(width)..((stripe + 1) * step).min(width);
            if stripe.is_empty() {
                return;
            }
            // SAFETY: the borrow of the cache is exclusive, and parts write disjoint bytes.
            unsafe { this.write_stripe(from, batch, head, half == 0, stripe) }
        };
        let parts = layout.kv_heads * 2 * stripes;
        if rows * layout.kv_heads * (layout.key_dim + layout.value_dim) < SMALL_WRITE {
            (0..parts).for_each(part);
        } else {
            pool.run(parts, &part);
        }
    }

    /// # Safety
    /// Nobody else touches these dimensions of this head's keys (or values).
    unsafe fn write_stripe(&self, from: &Rows, batch: &RaggedBatch, head: usize, is_key: bool, dims: Range<usize>) {
        let layout = &self.layout;
        let (values, row_stride, head_stride) = match is_key {
            true => (from.keys, from.key_row, from.key_head),
            false => (from.values, from.value_row, from.value_head),
        };
        let mut narrow = [0u16; STRIPE_DIMS];
        let (mut rotated, mut integers) = (Vec::new(), Vec::new());
        for sequence in batch.sequences {
            for row in 0..sequence.rows {
                let position = sequence.first_position + row;
                let start = (sequence.first_row + row) * row_stride + head * head_stride;
                let page = self.page_start(sequence.pages[position / layout.page_tokens]);
                let group = position % layout.page_tokens / GROUP;
                let (key_offset, value_offset) = layout.group_offsets(head, group);
                let later = start + ROWS_AHEAD * row_stride;
                ask(values.get(later + dims.start..later + dims.end).unwrap_or(&[]));
                if layout.dtype.is_quantized() {
                    rotated.clear();
                    rotated.extend_from_slice(&values[start..start + dims.end]);
                    integers.resize(dims.end, 0);
                    // SAFETY: the offsets lie inside the page.
                    let group = unsafe { page.add(if is_key { key_offset } else { value_offset }) };
                    // SAFETY: the group is this part's.
                    unsafe { write_quantized(layout, group, is_key, position % GROUP, &mut rotated, &mut integers) };
                    continue;
                }
                for first in dims.clone().step_by(STRIPE_DIMS) {
                    let source = &values[start + first..start + dims.end.min(first + STRIPE_DIMS)];
                    let (lane, narrow) = (position % GROUP, &mut narrow[..source.len()]);
                    // SAFETY: the offsets lie inside the page, `dims` inside the widths.
                    unsafe {
                        if is_key {
                            write_key(layout, page.add(key_offset), lane, first, source, narrow);
                        } else {
                            write_value(layout, page.add(value_offset), lane, first, source, narrow);
                        }
                    }
                }
            }
        }
    }

    /// The keys and values of positions `tokens` of the sequence that owns `pages`, widened:
    /// `[tokens, kv_heads, key_dim]` and `[tokens, kv_heads, value_dim]`.
    pub fn read(&self, pages: &[u32], tokens: Range<usize>) -> (Vec<f32>, Vec<f32>) {
        let layout = &self.layout;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for position in tokens {
            let page = self.page(pages[position / layout.page_tokens]);
            let lane = position % GROUP;
            for head in 0..layout.kv_heads {
                let (key, value) = layout.group_offsets(head, position % layout.page_tokens / GROUP);
                if layout.dtype.is_quantized() {
                    keys.extend(read_quantized(layout, &page[key..], true, lane));
                    values.extend(read_quantized(layout, &page[value..], false, lane));
                    continue;
                }
                keys.extend((0..layout.key_dim).map(|dim| {
                    let index = layout.key_index(dim, lane);
                    widen(layout.dtype, page, key, index)
                }));
                values.extend((0..layout.value_dim).map(|dim| {
                    let index = layout.value_index(dim, lane);
                    widen(layout.dtype, page, value, index)
                }));
            }
        }
        (keys, values)
    }

    /// Keys and values of the group of sixteen that holds `position`, for one head.
    pub(super) fn group(&self, pages: &[u32], head: usize, position: usize) -> (*const u8, *const u8) {
        let page = self.page_start(pages[position / self.layout.page_tokens]);
        let (keys, values) = self.layout.group_offsets(head, position % self.layout.page_tokens / GROUP);
        // SAFETY: both offsets lie inside the page.
        unsafe { (page.add(keys), page.add(values)) }
    }

    fn page_start(&self, page: u32) -> *mut u8 {
        let page = page as usize;
        assert!(page < self.pages, "[kv_cache] page {page} of {}", self.pages);
        // SAFETY: the page lies inside its chunk.
        unsafe {
            let chunk = self.chunks[page / self.pages_per_chunk].as_ptr().cast_mut();
            chunk.add(page % self.pages_per_chunk * self.layout.page_bytes())
        }
    }
}

/// Dimensions that are converted at a time: an even number, for pairs.
const STRIPE_DIMS: usize = 256;

/// Below this many values a write is not worth a parallel region.
const SMALL_WRITE: usize = 16_384;

/// Where the rows to be written come from: strides in values, `[row, head, dim]`.
pub(super) struct Rows<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
    pub key_row: usize,
    pub key_head: usize,
    pub value_row: usize,
    pub value_head: usize,
}

/// # Safety
/// `group` points at the keys of a group; `first_dim + source.len()` is within the key's width.
unsafe fn write_key(
    layout: &KvLayout,
    group: *mut u8,
    lane: usize,
    first_dim: usize,
    source: &[f32],
    narrow: &mut [u16],
) {
    // SAFETY: the caller's promise; every index below is inside the group.
    unsafe {
        match layout.dtype {
            KvDtype::F32 => {
                let to = group.cast::<f32>().add(first_dim * GROUP + lane);
                for (dim, &value) in source.iter().enumerate() {
                    to.add(dim * GROUP).write(value);
                }
            }
            KvDtype::F16 => {
                to_f16(source, narrow);
                let to = group.cast::<u16>().add(first_dim * GROUP + lane);
                for (dim, &value) in narrow.iter().enumerate() {
                    to.add(dim * GROUP).write(value);
                }
            }
            KvDtype::Bf16 => {
                to_bf16(source, narrow);
                let to = group.cast::<u32>().add(first_dim / 2 * GROUP + lane);
                let pairs = narrow.chunks_exact(2);
                let single = pairs.remainder();
                for (pair, value) in pairs.enumerate() {
                    to.add(pair * GROUP).write(u32::from(value[0]) | u32::from(value[1]) << 16);
                }
                if let [last] = single {
                    to.add(narrow.len() / 2 * GROUP).write(u32::from(*last));
                }
            }
            KvDtype::Q8 | KvDtype::Q4 => unreachable!("quantized keys are written whole"),
        }
    }
}

/// # Safety
/// `group` points at the values of a group; `first_dim + source.len()` is within the value's width.
unsafe fn write_value(
    layout: &KvLayout,
    group: *mut u8,
    lane: usize,
    first_dim: usize,
    source: &[f32],
    narrow: &mut [u16],
) {
    let stride = layout.value_stride();
    // SAFETY: the caller's promise; every index below is inside the group.
    unsafe {
        match layout.dtype {
            KvDtype::F32 => {
                let to = group.cast::<f32>().add(lane * stride + first_dim);
                std::ptr::copy_nonoverlapping(source.as_ptr(), to, source.len());
            }
            KvDtype::F16 => {
                to_f16(source, narrow);
                let to = group.cast::<u16>().add(lane * stride + first_dim);
                std::ptr::copy_nonoverlapping(narrow.as_ptr(), to, narrow.len());
            }
            KvDtype::Bf16 => {
                to_bf16(source, narrow);
                let to = group.cast::<u32>().add(lane / 2 * stride + first_dim);
                for (dim, &value) in narrow.iter().enumerate() {
                    // The first of a pair clears its partner, which another sequence may have left in this page.
                    let other = if lane.is_multiple_of(2) { 0 } else { to.add(dim).read() & 0xffff };
                    to.add(dim).write(other | u32::from(value) << (16 * (lane % 2)));
                }
            }
            KvDtype::Q8 | KvDtype::Q4 => unreachable!("quantized values are written whole"),
        }
    }
}

/// Rotate a key (or value) and store it with its scale.
///
/// # Safety
/// `group` points at the keys (or values) of a group that nobody else touches.
unsafe fn write_quantized(
    layout: &KvLayout,
    group: *mut u8,
    is_key: bool,
    lane: usize,
    values: &mut [f32],
    integers: &mut [i8],
) {
    quantized::rotate(values);
    let four_bits = layout.dtype == KvDtype::Q4;
    let scale =
        if four_bits { quantized::quantize_4(values, integers) } else { quantized::quantize_8(values, integers) };
    // SAFETY: the caller's promise; every index is inside the group.
    unsafe {
        let scales = group.cast::<f32>();
        scales.add(lane).write(scale);
        // What another sequence has left behind this position weighs nothing.
        (lane + 1..GROUP).for_each(|behind| scales.add(behind).write(0.0));
        let group = group.add(SCALE_BYTES);
        for (dim, &integer) in integers.iter().enumerate() {
            let index = if is_key { layout.key_index(dim, lane) } else { layout.value_index(dim, lane) };
            if !four_bits {
                group.add(index).write(integer as u8);
                continue;
            }
            let (byte, is_upper) = quantized::nibble(index);
            let (to, level) = (group.add(byte), ((integer + 15) / 2) as u8);
            let other = to.read();
            to.write(if is_upper { other & 0x0f | level << 4 } else { other & 0xf0 | level });
        }
    }
}

/// A key (or value) as it was before it was rotated.
fn read_quantized(layout: &KvLayout, group: &[u8], is_key: bool, lane: usize) -> Vec<f32> {
    let scale = f32::from_ne_bytes(group[4 * lane..4 * lane + 4].try_into().expect("four bytes"));
    let integer = |dim: usize| {
        let index = if is_key { layout.key_index(dim, lane) } else { layout.value_index(dim, lane) };
        if layout.dtype == KvDtype::Q8 {
            return group[SCALE_BYTES + index] as i8;
        }
        let (byte, is_upper) = quantized::nibble(index);
        let pair = group[SCALE_BYTES + byte];
        2 * (if is_upper { pair >> 4 } else { pair & 15 }) as i8 - 15
    };
    let width = if is_key { layout.key_dim } else { layout.value_dim };
    let mut values: Vec<f32> = (0..width).map(|dim| f32::from(integer(dim)) * scale).collect();
    quantized::rotate(&mut values);
    values
}

tiered! { fn ask(values: &[f32]) = ask_body; }

#[inline(always)]
fn ask_body<S: Simd>(s: S, values: &[f32]) {
    values.chunks(16).for_each(|line| s.prefetch(line.as_ptr().cast()));
}

fn to_f16(source: &[f32], narrow: &mut [u16]) {
    convert::f32_to_f16(source, bytemuck::cast_slice_mut::<u16, f16>(narrow));
}

fn to_bf16(source: &[f32], narrow: &mut [u16]) {
    convert::f32_to_bf16(source, bytemuck::cast_slice_mut::<u16, bf16>(narrow));
}

fn widen(dtype: KvDtype, page: &[u8], offset: usize, index: usize) -> f32 {
    let at = offset + dtype.bytes_of(index);
    match dtype {
        KvDtype::F32 => f32::from_ne_bytes(page[at..at + 4].try_into().expect("four bytes")),
        KvDtype::F16 => f16::from_ne_bytes([page[at], page[at + 1]]).to_f32(),
        KvDtype::Bf16 => bf16::from_ne_bytes([page[at], page[at + 1]]).to_f32(),
        KvDtype::Q8 | KvDtype::Q4 => unreachable!("quantized vectors are read whole"),
    }
}
