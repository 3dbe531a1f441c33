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

    /// Processor time of the process and its children so far, in microseconds.
    pub(crate) fn cpu(&self) -> u64 {
        const MICROS_PER_TICK: u64 = 10_000;
        self.tree().filter_map(ticks).sum::<u64>() * MICROS_PER_TICK
    }

    /// Resident memory of the process and its children, in kB.
    pub(crate) fn memory(&self) -> u64 {
        self.tree().filter_map(resident).sum()
    }

    fn tree(&self) -> impl Iterator<Item = u32> {
        let root = self.0.id();
        let children = fs::read_to_string(format!("/proc/{root}/task/{root}/children"));
        let children: Vec<u32> = children
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect();
        std::iter::once(root).chain(children)
    }
}

fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Clock ticks in user and in kernel mode, of which Linux shows a hundred a second.
fn ticks(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; the fields after it are counted from the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(field(14)? + field(15)?)
}
