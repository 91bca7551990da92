//! Several cards of one host as one device: each runs every list on memory of its own, which has the same places on all.
//!
//! What is written goes to all cards, so their memory is alike until something is written to one of them alone
//! ([`Device::write_to`]: its share of a weight) or comes from that. [`Exchange`]s make what differs alike again.
//! Invariant: cards get the same commands in the same order, and a sum is added in the order of the cards, so it has
//! the same bits on each card and in every run. Between CUDA devices that reach each other's memory an exchange is a few
//! kernels of ours (`cuda/cards.cu`) and part of a recorded graph; elsewhere the host does it, which shows that the same
//! lists work on any device. Read next: [`crate::device`].

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::device::{
    Allocation, Backend, Command, Counters, Device, Exchange, Info, Kernel, List, MAIL_FLOATS, MOST_CARDS, Memory,
    Recording, Replay,
};
use crate::error::GpuError;
use crate::{Choice, cuda};

/// Blocks of `cards_sum` that have mail.
const MAIL_BLOCKS: usize = 1024;

/// Sums of which a card would send more than this to all others go the other way.
const MAIL_BYTES: usize = 4 << 20;

/// Commands that one card may be ahead of the others: few enough for the driver's queue, which a card that waits for
/// another one keeps full.
const AHEAD: usize = 16;

/// Numbers of groups; those of runtimes never meet these.
static GROUPS: AtomicU64 = AtomicU64::new(1 << 48);

/// See the module.
pub struct Group {
    info: Info,
    number: u64,
    cards: Vec<Arc<dyn Device>>,
    link: Option<Link>,
    /// Held while work is handed out, so that all cards get it in one order.
    order: Arc<Mutex<()>>,
}

/// What kernels that exchange something use, on each card.
struct Link {
    /// How often a block has exchanged something; behind these, how often the cards have met.
    turns: Vec<Memory>,
    mail: Vec<Memory>,
    /// Of two cards: memory for large sums that the other one sends, in two halves that take turns.
    arrivals: Mutex<Vec<Memory>>,
}

/// An exchange of one card's list.
struct Turn<'a> {
    card: usize,
    cards: usize,
    /// Of each card, what [`Link::arrivals`] gave, and which half is next.
    arrivals: &'a [Memory],
    half: usize,
}

/// Open several devices as one. They are of one kind: another chip would have other bits.
pub fn open(choices: &[Choice]) -> Result<Arc<dyn Device>, GpuError> {
    let cuda: Option<Vec<usize>> =
        choices.iter().map(|choice| if let Choice::Cuda(number) = choice { Some(*number) } else { None }).collect();
    let unusable = |reason: &str| {
        let names: Vec<String> = choices.iter().map(Choice::to_string).collect();
        Err(GpuError::Unusable { device: names.join(", "), reason: reason.to_string() })
    };
    if choices.len() > MOST_CARDS {
        return unusable("at most 8 devices work together");
    }
    let (cards, linked) = match cuda {
        Some(mut numbers) => {
            let opened = cuda::open_several(&numbers)?;
            numbers.sort_unstable();
            numbers.dedup();
            if numbers.len() < choices.len() {
                return unusable("a device is named twice");
            }
            opened
        }
        None => {
            let opened: Result<Vec<_>, GpuError> = choices.iter().map(|choice| crate::open(*choice)).collect();
            (opened?, false)
        }
    };
    if cards.iter().any(|card| card.info().name != cards[0].info().name) {
        return unusable("they are of different kinds");
    }
    Ok(Arc::new(Group::new(cards, linked)?))
}

impl Group {
    /// One device of these. `linked`: CUDA devices that reach each other's memory.
    fn new(cards: Vec<Arc<dyn Device>>, linked: bool) -> Result<Group, GpuError> {
        let first = cards[0].info();
        let memory = cards.iter().map(|card| card.info().memory_bytes).sum::<Option<u64>>();
        let info = Info { name: format!("{} x {}", cards.len(), first.name), memory_bytes: memory, ..first.clone() };
        let link = if linked && first.backend == Backend::Cuda { Some(Link::new(&cards)?) } else { None };
        let number = GROUPS.fetch_add(1, Ordering::Relaxed);
        Ok(Group { info, number, cards, link, order: Arc::default() })
    }

    fn on_all(&self, work: impl Fn(usize, &dyn Device) -> Result<(), GpuError>) -> Result<(), GpuError> {
        self.cards.iter().enumerate().try_for_each(|(index, card)| work(index, &**card))
    }

    /// The commands of a list as each card runs them; exchanges are kernels.
    fn on_cards(&self, commands: &[Command]) -> Result<impl Fn(usize) -> List, GpuError> {
        let arrivals = match &self.link {
            Some(link) => link.arrivals(&self.cards, commands)?,
            None => vec![],
        };
        Ok(move |card| self.on_card(card, commands, &arrivals))
    }

    fn on_card(&self, card: usize, commands: &[Command], arrivals: &[Memory]) -> List {
        let mut list = List::new();
        let mut turn = Turn { card, cards: self.cards.len(), arrivals, half: 0 };
        if let Some(link) = self.link.as_ref().filter(|_| !arrivals.is_empty()) {
            // Nobody still reads what lists in front sent.
            link.meet(&turn, &mut list);
        }
        for command in commands {
            match (command, &self.link) {
                (Command::Exchange { kind, from, to }, Some(link)) => {
                    link.exchange(&mut turn, *kind, [from, to], &mut list);
                }
                _ => list.commands.push(of_card(command, card)),
            }
        }
        list
    }

    /// The pieces of a list that the cards run by themselves, each with what the host does behind it.
    fn pieces<'a>(&self, list: &'a List) -> Vec<(&'a [Command], Option<&'a Command>)> {
        if self.link.is_some() {
            return vec![(&list.commands, None)];
        }
        let is_exchange = |command: &Command| matches!(command, Command::Exchange { .. });
        let pieces = list.commands.split_inclusive(is_exchange);
        pieces
            .map(|piece| match piece.split_last() {
                Some((last, before)) if is_exchange(last) => (before, Some(last)),
                _ => (piece, None),
            })
            .collect()
    }
}

impl Device for Group {
    fn info(&self) -> &Info {
        &self.info
    }

    fn allocate(&self, bytes: u64) -> Result<Memory, GpuError> {
        let cards: Result<Vec<Memory>, GpuError> = self.cards.iter().map(|card| card.allocate(bytes)).collect();
        Ok(self.memory(bytes, cards?))
    }

    fn import(&self, owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Result<Memory, GpuError> {
        let cards = self.cards.iter().map(|card| card.import(owner.clone(), range.clone()));
        let cards: Result<Vec<Memory>, GpuError> = cards.collect();
        Ok(self.memory(range.len() as u64, cards?))
    }

    fn write(&self, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let _order = lock(&self.order);
        self.on_all(|index, card| card.write(&to.on(index), offset, bytes))
    }

    fn read(&self, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        self.read_from(0, from, offset, bytes)
    }

    fn submit(&self, list: &List) -> Result<(), GpuError> {
        let _order = lock(&self.order);
        for (commands, then) in self.pieces(list) {
            for few in few_by_few(commands) {
                let list = self.on_cards(few)?;
                self.on_all(|index, card| card.submit(&list(index)))?;
            }
            if let Some(exchange) = then {
                exchange_by_host(&self.cards, exchange)?;
            }
        }
        Ok(())
    }

    fn record(&self, list: List) -> Result<Recording, GpuError> {
        let mut pieces = Vec::new();
        for (commands, then) in self.pieces(&list) {
            let list = self.on_cards(commands)?;
            let of_cards = self.cards.iter().enumerate();
            let recordings: Result<Vec<Recording>, GpuError> =
                of_cards.map(|(index, card)| card.record(list(index))).collect();
            pieces.push((recordings?, then.cloned()));
        }
        Ok(Box::new(Recorded { cards: self.cards.clone(), pieces, order: self.order.clone() }))
    }

    fn wait(&self) -> Result<(), GpuError> {
        self.on_all(|_, card| card.wait())
    }

    fn counters(&self) -> Counters {
        let mut all = self.cards[0].counters();
        for card in &self.cards[1..] {
            let own = card.counters();
            all.written_bytes += own.written_bytes;
            all.read_bytes += own.read_bytes;
            all.allocated_bytes += own.allocated_bytes;
            all.peak_bytes += own.peak_bytes;
        }
        all
    }

    fn simulate_loss(&self) {
        self.cards[self.cards.len() - 1].simulate_loss();
    }

    fn cards(&self) -> usize {
        self.cards.len()
    }

    fn write_to(&self, card: usize, to: &Memory, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let _order = lock(&self.order);
        self.cards[card].write(&to.on(card), offset, bytes)
    }

    fn read_from(&self, card: usize, from: &Memory, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        // The others' failures are ours: what this card waits for would never come.
        self.cards[card].read(&from.on(card), offset, bytes)
    }
}

impl Group {
    fn memory(&self, bytes: u64, cards: Vec<Memory>) -> Memory {
        Memory::new(Allocation { device: self.number, handle: 0, bytes, release: Box::new(|_| {}), cards })
    }
}

impl Link {
    fn new(cards: &[Arc<dyn Device>]) -> Result<Link, GpuError> {
        let words = MAIL_BLOCKS + MOST_CARDS + 1;
        let mail_bytes = 2 * MAIL_BLOCKS * cards.len() * MAIL_FLOATS * 8;
        let zeros = |card: &Arc<dyn Device>, bytes: usize| card.import(Arc::new(vec![0u8; bytes]), 0..bytes);
        let turns: Result<Vec<Memory>, GpuError> = cards.iter().map(|card| zeros(card, 4 * words)).collect();
        let mail: Result<Vec<Memory>, GpuError> = cards.iter().map(|card| zeros(card, mail_bytes)).collect();
        let link = Link { turns: turns?, mail: mail?, arrivals: Mutex::default() };
        // Nobody's mail may come before the zeros.
        cards.iter().try_for_each(|card| card.wait())?;
        Ok(link)
    }

    /// Memory of each card for the large sums among these commands that two cards send each other; none, if there are none.
    fn arrivals(&self, cards: &[Arc<dyn Device>], commands: &[Command]) -> Result<Vec<Memory>, GpuError> {
        let pushed = |command: &Command| match command {
            Command::Exchange { kind: Exchange::Sum, from, .. } if !is_small(from, cards.len()) => Some(from.bytes()),
            _ => None,
        };
        let Some(most) = commands.iter().filter_map(pushed).max().filter(|_| cards.len() == 2) else {
            return Ok(vec![]);
        };
        let mut arrivals = lock(&self.arrivals);
        if arrivals.first().is_none_or(|memory| memory.bytes() < 2 * most) {
            // What is in use is given back behind the lists that use it.
            let room = 2 * most.next_power_of_two();
            *arrivals = cards.iter().map(|card| card.allocate(room)).collect::<Result<_, _>>()?;
        }
        Ok(arrivals.clone())
    }

    fn meet(&self, turn: &Turn, list: &mut List) {
        let turns: Vec<&Memory> = self.turns.iter().collect();
        list.dispatch(turn.kernel("cards_meet"), &turns, &[], [1, 1, 1]);
    }

    /// The kernels of one card.
    fn exchange(&self, turn: &mut Turn, kind: Exchange, [from, to]: [&Memory; 2], list: &mut List) {
        let (card, cards, one) = (turn.card, turn.cards, [1, 1, 1]);
        let floats = (from.bytes() / 4) as u32;
        let of_all = |memory: &Memory| (0..cards).map(|card| memory.on(card)).collect::<Vec<Memory>>();
        match kind {
            Exchange::Sum if is_small(from, cards) => {
                let own = [from.on(card), to.on(card), self.turns[card].clone()];
                let buffers: Vec<&Memory> = own.iter().chain(&self.mail).collect();
                list.dispatch(turn.kernel("cards_sum"), &buffers, &[floats], one);
            }
            Exchange::Sum if cards == 2 => {
                let [theirs, ours] = [1 - card, card].map(|card| turn.arrived(card, from.bytes()));
                turn.half = 1 - turn.half;
                let (from, to) = (from.on(card), to.on(card));
                list.dispatch(turn.kernel("cards_push"), &[&from, &theirs], &[floats], one);
                self.meet(turn, list);
                list.dispatch(turn.kernel("cards_take"), &[&from, &ours, &to], &[floats], one);
            }
            Exchange::Sum => {
                self.meet(turn, list);
                let (from, to) = (of_all(from), of_all(to));
                let buffers: Vec<&Memory> = from.iter().chain(&to).collect();
                list.dispatch(turn.kernel("cards_add"), &buffers, &[floats], one);
                self.meet(turn, list);
            }
            Exchange::Join { rows } => {
                self.meet(turn, list);
                let (from, to) = (from.on(card), of_all(to));
                let buffers: Vec<&Memory> = std::iter::once(&from).chain(&to).collect();
                list.dispatch(turn.kernel("cards_join"), &buffers, &[rows, floats / rows], one);
                self.meet(turn, list);
            }
        }
    }
}

impl Turn<'_> {
    fn kernel(&self, name: &'static str) -> Kernel {
        Kernel::new(name, &[("CARD", self.card as u32), ("CARDS", self.cards as u32)])
    }

    /// Where so many bytes come to on a card.
    fn arrived(&self, card: usize, bytes: u64) -> Memory {
        let memory = &self.arrivals[card];
        memory.slice(self.half as u64 * (memory.bytes() / 2), bytes)
    }
}

/// Whether a sum goes by mail.
fn is_small(from: &Memory, cards: usize) -> bool {
    let floats = from.bytes() as usize / 4;
    floats <= MAIL_BLOCKS * MAIL_FLOATS && floats * 8 * (cards - 1) <= MAIL_BYTES
}

/// The commands in small parts, none of which begins with what kernels in front of it may do too.
fn few_by_few(commands: &[Command]) -> impl Iterator<Item = &[Command]> {
    let mut count = 0;
    commands.chunk_by(move |before, next| {
        count += 1;
        let stays = count < AHEAD || goes_on(before, next);
        count = if stays { count } else { 0 };
        stays
    })
}

/// Whether a command and the one in front may be done together.
fn goes_on(before: &Command, next: &Command) -> bool {
    match next {
        Command::Exchange { kind, .. } => *kind == Exchange::Sum,
        Command::Copy { .. } => false,
        Command::Dispatch { kernel, .. } => match kernel.name {
            "attention_join" | "kv_write" => true,
            "elementwise" => match before {
                Command::Dispatch { kernel, .. } => kernel.name == "matmul",
                Command::Exchange { .. } => true,
                Command::Copy { .. } => false,
            },
            "matmul" => match before {
                Command::Dispatch { kernel, .. } => matches!(kernel.name, "matmul" | "attention"),
                _ => false,
            },
            _ => false,
        },
    }
}

/// A command on the memory of one card.
fn of_card(command: &Command, card: usize) -> Command {
    match command {
        Command::Dispatch { kernel, buffers, params, groups } => Command::Dispatch {
            kernel: kernel.clone(),
            buffers: buffers.iter().map(|memory| memory.on(card)).collect(),
            params: params.clone(),
            groups: *groups,
        },
        Command::Copy { from, to } => Command::Copy { from: from.on(card), to: to.on(card) },
        Command::Exchange { kind, from, to } => Command::Exchange { kind: *kind, from: from.on(card), to: to.on(card) },
    }
}

/// Bring what the cards have to the host, and the result back.
fn exchange_by_host(cards: &[Arc<dyn Device>], command: &Command) -> Result<(), GpuError> {
    let Command::Exchange { kind, from, to } = command else { return Ok(()) };
    let words = from.bytes() as usize / 4;
    let mut pieces = vec![vec![0u32; words]; cards.len()];
    for (index, (card, piece)) in cards.iter().zip(&mut pieces).enumerate() {
        card.read(&from.on(index), 0, bytemuck::cast_slice_mut(piece))?;
    }
    let whole: Vec<u32> = match kind {
        Exchange::Sum => {
            let float = |bits: u32| f32::from_bits(bits);
            let sum = |word: usize| {
                pieces[1..].iter().fold(float(pieces[0][word]), |sum, piece| sum + float(piece[word])).to_bits()
            };
            (0..words).map(sum).collect()
        }
        Exchange::Join { rows } => {
            let width = words / *rows as usize;
            let row = |row: usize| pieces.iter().flat_map(move |piece| &piece[row * width..(row + 1) * width]);
            (0..*rows as usize).flat_map(row).copied().collect()
        }
    };
    let write = |(index, card): (usize, &Arc<dyn Device>)| card.write(&to.on(index), 0, bytemuck::cast_slice(&whole));
    cards.iter().enumerate().try_for_each(write)
}

/// The recordings of all cards, piece by piece.
struct Recorded {
    cards: Vec<Arc<dyn Device>>,
    pieces: Vec<(Vec<Recording>, Option<Command>)>,
    order: Arc<Mutex<()>>,
}

impl Replay for Recorded {
    fn replay(&self) -> Result<(), GpuError> {
        let _order = lock(&self.order);
        for (recordings, then) in &self.pieces {
            recordings.iter().try_for_each(|recording| recording.replay())?;
            if let Some(exchange) = then {
                exchange_by_host(&self.cards, exchange)?;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
