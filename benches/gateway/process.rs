//! Child processes: started, listened to until they are ready, measured in /proc, and ended with their value.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Result;

/// A running process. It does not outlive this value, nor do its children: it is told to stop before it is made to.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let told = Command::new("kill").arg(self.0.id().to_string()).status();
        if told.is_ok_and(|told| told.success()) {
            let _ = self.0.wait();
            return;
        }
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts a process whose output nobody reads.
    pub(crate) fn start(command: &mut Command) -> Result<Process> {
        Ok(Process(command.spawn()?))
    }

    /// Starts a process and waits for the first line of its output that means something.
    pub(crate) fn ready<T>(
        command: &mut Command,
        meaning: impl Fn(&str) -> Option<T>,
    ) -> Result<(Process, T)> {
        let mut process = Process(command.stdout(Stdio::piped()).spawn()?);
        let output = process.0.stdout.take().ok_or("the output is not piped")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some(meant) = meaning(&line) {
                // Read on, so that the process never waits for room in the pipe; ends with the process.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((process, meant));
            }
        }
        Err("a process ended before it was ready".into())
    }

    /// What it and its children use.
    pub(crate) fn tree(&self) -> Tree {
        Tree(self.0.id())
    }
}

/// A process and its children, as /proc shows them; they need not be this program's.
#[derive(Clone, Copy)]
pub(crate) struct Tree(u32);

impl Tree {
    /// The process that started `child`, with all of its children; `None` unless it is called `name`.
    pub(crate) fn parent_of(child: u32, name: &str) -> Option<Tree> {
        let parent = stat(child)?.nth(1)?.parse().ok()?;
        let called = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
        (called.trim() == name).then_some(Tree(parent))
    }

    /// Processor time so far, in microseconds: that of children which have ended, too.
    pub(crate) fn cpu(self) -> u64 {
        const MICROS_PER_TICK: u64 = 10_000;
        self.members().filter_map(ticks).sum::<u64>() * MICROS_PER_TICK
    }

    /// Processor time so far of the threads called `name`, in microseconds.
    pub(crate) fn thread_cpu(self, name: &str) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0))
            .into_iter()
            .flatten();
        let used = threads.filter_map(|thread| {
            let folder = thread.ok()?.path();
            let called = fs::read_to_string(folder.join("comm")).ok()?;
            let used = fs::read_to_string(folder.join("schedstat")).ok()?;
            let nanos: u64 = used.split_whitespace().next()?.parse().ok()?;
            (called.trim() == name).then_some(nanos / 1_000)
        });
        used.sum()
    }

    /// Resident memory, in kB.
    pub(crate) fn memory(self) -> u64 {
        self.members()
            .filter_map(|id| status(id, "VmRSS:"))
            .sum::<u64>()
    }

    /// Threads.
    pub(crate) fn threads(self) -> u64 {
        self.members()
            .filter_map(|id| status(id, "Threads:"))
            .sum::<u64>()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> u64 {
        let open = |id| fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        self.members().map(|id| open(id) as u64).sum()
    }

    fn members(self) -> impl Iterator<Item = u32> {
        let root = self.0;
        let children = fs::read_to_string(format!("/proc/{root}/task/{root}/children"));
        let children: Vec<u32> = children
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect();
        std::iter::once(root).chain(children)
    }
}

fn status(process: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Clock ticks in user and in kernel mode, its own and those of children that it has seen end, of which Linux shows a
/// hundred a second.
fn ticks(process: u32) -> Option<u64> {
    let ticks = stat(process)?.skip(11).take(4);
    Some(ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

/// The fields of a process from the third on: the name before them stands in parentheses and may hold anything.
fn stat(process: u32) -> Option<impl Iterator<Item = String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<String> = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    Some(fields.into_iter())
}
