//! The spool: settlements that the database could not take, kept in a file until it can.
//!
//! Lines of a checksum and a settlement as JSON, appended and synced before anybody is answered, replayed
//! from the front in order. Replaying is harmless however often it happens, so how far it has come is kept
//! in memory alone, and the file is emptied once everything is in the database.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::store::Settlement;

const FILE: &str = "settlements.spool";
const DAMAGED: &str = "settlements.damaged";
/// Bytes of a line's checksum, of which it shows the hexadecimal digits.
const CHECK: usize = 8;

/// The spool of this replica. Cloning it shares it: the writer fills and empties it, and admission asks
/// whether there is room.
#[derive(Clone)]
pub(super) struct Spool {
    file: Arc<Mutex<SpoolFile>>,
    full: Arc<AtomicBool>,
    limit: u64,
}

/// Settlements to replay.
pub(super) struct Piece {
    pub(super) settlements: Vec<Arc<Settlement>>,
    end: u64,
}

struct SpoolFile {
    folder: PathBuf,
    file: File,
    /// The end of the last whole line.
    end: u64,
    /// How far the replay has come.
    replayed: u64,
    /// How far damaged lines are set aside: a piece may be read more than once.
    looked_at: u64,
}

impl Spool {
    /// Opens the spool in `folder`. A torn last line was never answered for, and is cut off.
    pub(super) async fn open(folder: PathBuf, limit: usize) -> io::Result<Spool> {
        let (file, limit) = (
            blocking(move || SpoolFile::open(folder)).await?,
            u64::try_from(limit).unwrap_or(u64::MAX),
        );
        let full = Arc::new(AtomicBool::new(file.end >= limit));
        Ok(Spool {
            file: Arc::new(Mutex::new(file)),
            full,
            limit,
        })
    }

    /// Whether new runs must wait. Those under way may still go beyond the limit: their number is bounded.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Whether anything waits to be replayed.
    pub(super) fn is_empty(&self) -> bool {
        self.file.lock().end == 0
    }

    /// Appends settlements durably, all or none.
    pub(super) async fn append(&self, settlements: &[Arc<Settlement>]) -> io::Result<()> {
        let lines = lines(settlements)?;
        let end = self.with_file(move |file| file.append(&lines)).await;
        // A file that takes nothing is as good as full.
        self.note_end(*end.as_ref().unwrap_or(&u64::MAX));
        end.map(drop)
    }

    /// The next settlements to replay, at most `most`; none when everything is replayed.
    pub(super) async fn next(&self, most: usize) -> io::Result<Piece> {
        self.with_file(move |file| file.next(most)).await
    }

    /// Notes that a piece is in the database. The file is emptied with its last one.
    pub(super) async fn done(&self, piece: &Piece) -> io::Result<()> {
        let replayed = piece.end;
        let end = self.with_file(move |file| file.done(replayed)).await?;
        self.note_end(end);
        Ok(())
    }

    fn note_end(&self, end: u64) {
        self.full.store(end >= self.limit, Ordering::Relaxed);
    }

    async fn with_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SpoolFile) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = Arc::clone(&self.file);
        blocking(move || work(&mut file.lock())).await
    }
}

/// A disk may take its time, which a thread that serves others has not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

impl SpoolFile {
    fn open(folder: PathBuf) -> io::Result<SpoolFile> {
        let path = folder.join(FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // The file's name must be as durable as its lines.
        File::open(&folder)?.sync_all()?;
        let mut spool = SpoolFile {
            folder,
            file,
            end: 0,
            replayed: 0,
            looked_at: 0,
        };
        spool.cut_torn_line()?;
        Ok(spool)
    }

    fn cut_torn_line(&mut self) -> io::Result<()> {
        let mut reader = BufReader::new(&self.file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n") {
                self.end += line.len() as u64;
            }
            line.clear();
        }
        self.file.set_len(self.end)?;
        self.file.sync_all()
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<u64> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let written = self
            .file
            .write_all(lines)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // The caller will try again, so what has arrived of it is cut off.
            self.file.set_len(self.end)?;
            return Err(error);
        }
        self.end += lines.len() as u64;
        Ok(self.end)
    }

    fn next(&mut self, most: usize) -> io::Result<Piece> {
        let mut piece = Piece {
            settlements: Vec::new(),
            end: self.replayed,
        };
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(self.replayed))?;
        let mut line = Vec::new();
        while piece.settlements.len() < most && piece.end < self.end {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            piece.end += line.len() as u64;
            match parse(&line) {
                Some(settlement) => piece.settlements.push(settlement),
                // The disk's doing. It is kept for a person, and nothing else is held up by it.
                None if piece.end > self.looked_at => {
                    self.set_aside(&line)?;
                    self.looked_at = piece.end;
                }
                None => {}
            }
        }
        Ok(piece)
    }

    fn done(&mut self, replayed: u64) -> io::Result<u64> {
        self.replayed = replayed;
        if self.replayed >= self.end {
            self.file.set_len(0)?;
            self.file.sync_all()?;
            (self.end, self.replayed, self.looked_at) = (0, 0, 0);
        }
        Ok(self.end)
    }

    fn set_aside(&self, line: &[u8]) -> io::Result<()> {
        tracing::error!(
            bytes = line.len(),
            file = DAMAGED,
            "a settlement in the spool is damaged; it is set aside"
        );
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join(DAMAGED))?;
        file.write_all(line)?;
        file.sync_all()
    }
}

fn lines(settlements: &[Arc<Settlement>]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for settlement in settlements {
        let json = serde_json::to_vec(settlement)?;
        lines.extend_from_slice(checksum(&json).as_bytes());
        lines.push(b' ');
        lines.extend_from_slice(&json);
        lines.push(b'\n');
    }
    Ok(lines)
}

fn parse(line: &[u8]) -> Option<Arc<Settlement>> {
    let (check, json) = line.strip_suffix(b"\n")?.split_at_checked(2 * CHECK + 1)?;
    (check.strip_suffix(b" ")? == checksum(json).as_bytes())
        .then(|| serde_json::from_slice(json).ok())?
}

fn checksum(json: &[u8]) -> String {
    hex::encode(&Sha256::digest(json)[..CHECK])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::domain::generation::{Charge, Generation};
    use crate::domain::ids::{GenerationId, KeyHash};
    use crate::domain::money::Nanos;

    fn settlement(number: i64) -> Arc<Settlement> {
        let generation = Generation {
            id: GenerationId::from(format!("gen-0-{number}")),
            created_at: number,
            account: "user_a".into(),
            key: KeyHash::of("key"),
            served: None,
            requested_model: "acme/orca\n\"quoted\"".into(),
            api_type: "completions".into(),
            streamed: false,
            cancelled: false,
            finish_reason: None,
            native_finish_reason: None,
            latency_ms: None,
            generation_ms: None,
            usage: None,
            reported: None,
            charge: Charge {
                net: Nanos(i64::MAX - number),
                ..Charge::default()
            },
            attempts: Vec::new(),
            route: None,
            search: None,
            steps: Vec::new(),
            legs: Vec::new(),
            referer: None,
            title: None,
            user_agent: None,
            session_id: None,
            external_user: None,
        };
        Arc::new(Settlement {
            generation,
            replica: "a".into(),
            settled_at: number,
        })
    }

    async fn open(folder: &Path) -> Spool {
        Spool::open(folder.to_owned(), 10_000).await.unwrap()
    }

    async fn numbers(spool: &Spool, most: usize) -> (Vec<i64>, Piece) {
        let piece = spool.next(most).await.unwrap();
        (
            piece
                .settlements
                .iter()
                .map(|settlement| settlement.settled_at)
                .collect(),
            piece,
        )
    }

    #[tokio::test]
    async fn settlements_come_back_in_order_until_they_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).await;
        spool.append(&[settlement(1), settlement(2)]).await.unwrap();
        spool.append(&[settlement(3)]).await.unwrap();
        let (first, piece) = numbers(&spool, 2).await;
        assert_eq!(first, [1, 2]);
        assert_eq!(piece.settlements[0].net(), Nanos(i64::MAX - 1));
        assert_eq!(numbers(&spool, 2).await.0, [1, 2], "not done yet");
        spool.done(&piece).await.unwrap();
        spool.append(&[settlement(4)]).await.unwrap();
        drop(spool);
        let spool = open(folder.path()).await;
        let (all, piece) = numbers(&spool, 10).await;
        assert_eq!(all, [1, 2, 3, 4], "after a crash everything is replayed");
        spool.done(&piece).await.unwrap();
        assert!(spool.is_empty() && open(folder.path()).await.is_empty());
    }

    #[test]
    fn a_note_says_which_run_it_is_beside_the_record_and_in_older_versions_within() {
        let noted = settlement(7);
        let mut json = serde_json::to_value(&*noted).unwrap();
        assert!(json["generation"].get("id").is_none());
        let which = |json| {
            serde_json::from_value::<Settlement>(json)
                .unwrap()
                .generation
                .which()
        };
        assert_eq!(which(json.clone()), noted.generation.which());
        let beside = json.as_object_mut().unwrap().remove("which").unwrap();
        let within = json["generation"].as_object_mut().unwrap();
        within.extend(beside.as_object().unwrap().clone());
        assert_eq!(which(json), noted.generation.which());
    }

    #[tokio::test]
    async fn a_torn_line_is_cut_off_at_any_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        open(folder.path())
            .await
            .append(&[settlement(1), settlement(2)])
            .await
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in (first..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let spool = open(folder.path()).await;
            spool.append(&[settlement(3)]).await.unwrap();
            assert_eq!(numbers(&spool, 10).await.0, [1, 3], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_damaged_line_is_set_aside_and_holds_up_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        open(folder.path())
            .await
            .append(&[settlement(1), settlement(2), settlement(3)])
            .await
            .unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let spool = open(folder.path()).await;
        assert_eq!(numbers(&spool, 10).await.0, [1, 3]);
        let damaged = || std::fs::read(folder.path().join(DAMAGED)).unwrap();
        let once = damaged();
        assert!(once.ends_with(b"\n"));
        let (all, piece) = numbers(&spool, 10).await;
        assert_eq!(all, [1, 3], "as often as it is tried");
        assert_eq!(damaged(), once);
        spool.done(&piece).await.unwrap();
        assert!(spool.is_empty());
    }

    #[tokio::test]
    async fn a_full_spool_still_takes_what_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path().to_owned(), 100).await.unwrap();
        assert!(!spool.is_full());
        spool.append(&[settlement(1)]).await.unwrap();
        assert!(spool.is_full());
        spool.append(&[settlement(2)]).await.unwrap();
        let (all, piece) = numbers(&spool, 10).await;
        assert_eq!(all, [1, 2]);
        spool.done(&piece).await.unwrap();
        assert!(!spool.is_full());
    }
}
