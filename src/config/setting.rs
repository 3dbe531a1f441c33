//! How each kind of value is written in the file and in the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;

use super::{LogFilter, LogFormat, PublicUrl};
use crate::auth::{Exempt, SignUp};
use crate::domain::money::Nanos;
use crate::domain::search::Engine;
use crate::domain::secret::Secret;
use crate::domain::terms::Ppm;
use crate::plugin::web::OnFailure;

/// A kind of value that a key can have. The error says what was expected, and what was found where that is no secret.
pub(super) trait Setting: Sized {
    /// Reads what a variable or a flag holds, or a string in the file.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a whole number in the file; most kinds are not numbers.
    fn from_number(number: i64) -> Result<Self, String> {
        Err(Self::from_text(&number.to_string())
            .err()
            .unwrap_or_else(|| "must be written in quotes".to_owned()))
    }
}

/// Absent is written as an empty string, so that every key has a default that can be shown.
impl<T: Setting> Setting for Option<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::from_text(text).map(Some)
        }
    }

    fn from_number(number: i64) -> Result<Self, String> {
        T::from_number(number).map(Some)
    }
}

impl Setting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// Percent of a price. No markup is ten times the price by intent.
impl Setting for Ppm {
    fn from_text(text: &str) -> Result<Self, String> {
        let most = Ppm(10 * Ppm::WHOLE.0);
        Ppm::parse_percent(text)
            .ok()
            .filter(|share| (Ppm::ZERO..=most).contains(share))
            .ok_or_else(|| {
                format!("expected percent from 0 to {most} such as \"5.5\", found {text:?}")
            })
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Ppm::from_text(&number.to_string())
    }
}

/// Names with commas between them; none for an empty text.
impl Setting for Exempt {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Exempt::parse(text))
    }
}

/// Networks with commas between them; none is a list too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Networks(pub(super) Vec<IpNet>);

impl Setting for Networks {
    fn from_text(text: &str) -> Result<Self, String> {
        let named = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let network = |name: &str| {
            let alone = || name.parse::<IpAddr>().map(IpNet::from);
            name.parse().or_else(|_| alone()).map_err(|_| {
                format!("expected networks such as \"10.1.0.0/16, fd00::/8\", found {name:?}")
            })
        };
        named.map(network).collect::<Result<_, _>>().map(Networks)
    }
}

impl Setting for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            Err("expected a path, found nothing".to_owned())
        } else {
            Ok(PathBuf::from(text))
        }
    }
}

impl Setting for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Secret::new(text))
    }
}

/// A name is resolved by whoever writes the configuration, except for the one that means the same everywhere.
impl Setting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        let numeric = text
            .strip_prefix("localhost:")
            .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        numeric.parse().map_err(|_| {
            format!("expected an address and a port such as 127.0.0.1:8080, found {text:?}")
        })
    }
}

impl Setting for u64 {
    fn from_text(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a whole number of at least 1, found {text:?}");
        text.parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(expected)
    }

    fn from_number(number: i64) -> Result<Self, String> {
        u64::from_text(&number.to_string())
    }
}

impl Setting for usize {
    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_text(text)
            .and_then(|number| usize::try_from(number).map_err(|_| "too large".to_owned()))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        usize::from_text(&number.to_string())
    }
}

impl Setting for u32 {
    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_text(text)
            .and_then(|number| u32::try_from(number).map_err(|_| "too large".to_owned()))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        u32::from_text(&number.to_string())
    }
}

impl Setting for Duration {
    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        let parsed = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(milliseconds))
            .filter(|product| *product > 0);
        parsed.map(Duration::from_millis).ok_or_else(|| {
            format!("expected a time such as \"250ms\", \"10s\" or \"5m\", found {text:?}")
        })
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl Setting for Size {
    fn from_text(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let bytes = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "kib" => 1 << 10,
            "mb" => 1_000_000,
            "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            _ => 0,
        };
        let parsed = number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_mul(bytes))
            .filter(|product| *product > 0);
        parsed
            .map(Size)
            .ok_or_else(|| format!("expected a size such as \"64KiB\" or \"32MB\", found {text:?}"))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Size::from_text(&number.to_string())
    }
}

/// Dollars, written in quotes: a TOML number with a point would be a float.
impl Setting for Nanos {
    fn from_text(text: &str) -> Result<Self, String> {
        match Nanos::parse(text) {
            Ok(amount) if amount >= Nanos::ZERO => Ok(amount),
            Ok(_) => Err(format!(
                "expected an amount of dollars that is not negative, found {text:?}"
            )),
            Err(error) => Err(format!(
                "expected an amount of dollars such as \"0.50\", found {text:?}: {error}"
            )),
        }
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Nanos::from_text(&number.to_string())
    }
}

impl Setting for LogFormat {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(LogFormat::Auto),
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!(
                "expected \"auto\", \"pretty\" or \"json\", found {text:?}"
            )),
        }
    }
}

impl Setting for SignUp {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(SignUp::Open),
            "invitation" => Ok(SignUp::Invitation),
            "closed" => Ok(SignUp::Closed),
            _ => Err(format!(
                "expected \"open\", \"invitation\" or \"closed\", found {text:?}"
            )),
        }
    }
}

/// A number of proxies, which may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proxies(pub(super) usize);

impl Setting for Proxies {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .ok()
            .filter(|number| *number <= 10)
            .map(Proxies)
            .ok_or_else(|| format!("expected a whole number from 0 to 10, found {text:?}"))
    }

    fn from_number(number: i64) -> Result<Self, String> {
        Proxies::from_text(&number.to_string())
    }
}

impl Setting for LogFilter {
    fn from_text(text: &str) -> Result<Self, String> {
        match EnvFilter::builder().parse(text) {
            Ok(_) if !text.trim().is_empty() => Ok(LogFilter(text.to_owned())),
            _ => Err(format!(
                "expected a level such as \"info\" or a filter such as \"info,turnpike=debug\", found {text:?}"
            )),
        }
    }
}

impl Setting for PublicUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected an address such as https://gateway.example, without a path, found {text:?}"
            )
        };
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let absolute =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if absolute && bare {
            Ok(PublicUrl(text.trim_end_matches('/').to_owned()))
        } else {
            Err(expected())
        }
    }
}

impl Setting for Engine {
    fn from_text(text: &str) -> Result<Self, String> {
        let known = || Engine::ALL.map(Engine::as_str).join(", ");
        Engine::parse(text).ok_or_else(|| format!("expected one of {}, found {text:?}", known()))
    }
}

impl Setting for OnFailure {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "answer" => Ok(OnFailure::Answer),
            "fail" => Ok(OnFailure::Fail),
            _ => Err(format!("expected \"answer\" or \"fail\", found {text:?}")),
        }
    }
}

/// The address of an API, to which paths are appended: without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl(pub(super) String);

impl Setting for BaseUrl {
    fn from_text(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected an address such as https://search.example, found {text:?}");
        let uri: Uri = text.parse().map_err(|_| expected())?;
        let absolute =
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
        if absolute && uri.query().is_none() {
            Ok(BaseUrl(text.trim_end_matches('/').to_owned()))
        } else {
            Err(expected())
        }
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_carry_their_unit() {
        assert_eq!(Duration::from_text("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::from_text("5 m"), Ok(Duration::from_secs(300)));
        assert!(Duration::from_text("10").is_err());
        assert!(Duration::from_text("0s").is_err());
        assert!(Duration::from_number(10).is_err());
        assert_eq!(Size::from_text("64KiB"), Ok(Size(65_536)));
        assert_eq!(Size::from_text("32MB"), Ok(Size(32_000_000)));
        assert_eq!(Size::from_number(512), Ok(Size(512)));
        assert!(Size::from_text("32 potatoes").is_err());
    }

    #[test]
    fn addresses_are_numeric_or_localhost() {
        assert_eq!(
            SocketAddr::from_text("localhost:0"),
            Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
        );
        assert!(SocketAddr::from_text("[::]:8080").is_ok());
        assert!(SocketAddr::from_text("8080").is_err());
    }

    #[test]
    fn a_public_address_has_no_path() {
        assert_eq!(
            PublicUrl::from_text("https://a.example/"),
            Ok(PublicUrl("https://a.example".to_owned()))
        );
        for wrong in ["a.example", "ftp://a.example", "https://a.example/api/v1"] {
            assert!(PublicUrl::from_text(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn money_is_exact_and_not_negative() {
        assert_eq!(Nanos::from_text("0.50"), Ok(Nanos(500_000_000)));
        assert_eq!(Nanos::from_number(2), Ok(Nanos::from_dollars(2)));
        assert!(Nanos::from_text("-1").is_err());
    }
}
