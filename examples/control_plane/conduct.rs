//! The words of `serve` about certificates and about misbehaviour on demand.

use crate::agents::{Clients, Issuing, TokenUse};
use crate::authority::{Authority, ServerCertificate};
use crate::mischief::{Manner, Mischief};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long an agent's certificate is valid.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// How late `slow` answers.
const SLOW: Duration = Duration::from_secs(3);

pub const HELP: &str = "\
    --state DIR          speak TLS and issue certificates: a CA is made in DIR, its ca.pem is for the agents'
                         control_plane.ca_file; agents named in DIR/revoked, one a line, are not let in
    --certificate-life D how long an agent's certificate is valid, as 30s, 15m, 12h or 90d [90d]
    --server-certificate KIND   right, expired, not-yet-valid, other-name, other-ca [right]
    --require-certificate       only agents with a certificate may connect
    --one-time           the token enrols once; the same request is answered again
    --misbehave HOW      refuse, deny, hang, slow, huge, unknown-fields, lose-answers; or as a server that is none:
                         silent, close, too-many-pings, http1
    --misbehave-errands HOW     one of the first seven, or none, for reports and questions for updates alone
    --old                as an older control plane: without sessions, reports and updates
";

/// What the words say.
#[derive(Default)]
pub struct Conduct {
    state: Option<PathBuf>,
    life: Option<Duration>,
    server: ServerCertificate,
    clients: Clients,
    pub token_use: TokenUse,
    pub mischief: Mischief,
    /// Of reports and questions for updates, where it is another.
    pub errand_mischief: Option<Mischief>,
    pub age: Age,
    /// In place of the gRPC server.
    pub rude: Option<Manner>,
}

/// Which calls it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Age {
    /// All.
    #[default]
    New,
    /// Those of an agent's life.
    Old,
}

impl Conduct {
    /// Whether this option stands alone.
    pub fn set_flag(&mut self, option: &str) -> bool {
        match option {
            "require-certificate" => self.clients = Clients::Must,
            "one-time" => self.token_use = TokenUse::Once,
            "old" => self.age = Age::Old,
            _ => return false,
        }
        true
    }

    /// Whether this option has a value.
    pub fn takes(option: &str) -> bool {
        matches!(option, "state" | "certificate-life" | "server-certificate" | "misbehave" | "misbehave-errands")
    }

    pub fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        match option {
            "state" => self.state = Some(PathBuf::from(value)),
            "certificate-life" => self.life = Some(span(value)?),
            "server-certificate" => {
                self.server = match value {
                    "right" => ServerCertificate::Right,
                    "expired" => ServerCertificate::Expired,
                    "not-yet-valid" => ServerCertificate::NotYetValid,
                    "other-name" => ServerCertificate::OtherName,
                    "other-ca" => ServerCertificate::OtherCa,
                    other => return Err(format!("no such certificate: {other}")),
                }
            }
            "misbehave-errands" => self.errand_mischief = Some(mischief(value)?),
            _ => match value {
                "silent" => self.rude = Some(Manner::Silent),
                "close" => self.rude = Some(Manner::Closes),
                "too-many-pings" => self.rude = Some(Manner::TooManyPings),
                "http1" => self.rude = Some(Manner::Http1),
                other => self.mischief = mischief(other)?,
            },
        }
        Ok(())
    }

    /// The CA, where there is a folder for it.
    pub fn issuing(&self) -> Result<Option<Issuing>, crate::Failure> {
        let Some(folder) = &self.state else { return Ok(None) };
        let authority = Arc::new(Authority::open(folder, self.life.unwrap_or(CERTIFICATE_LIFE))?);
        Ok(Some(Issuing { authority, server: self.server, clients: self.clients }))
    }
}

fn mischief(word: &str) -> Result<Mischief, String> {
    Ok(match word {
        "refuse" => Mischief::Unauthenticated,
        "deny" => Mischief::Denied,
        "hang" => Mischief::Hang,
        "slow" => Mischief::Slow(SLOW),
        "huge" => Mischief::Huge,
        "unknown-fields" => Mischief::UnknownFields,
        "lose-answers" => Mischief::LoseAnswers,
        "none" => Mischief::None,
        other => return Err(format!("no such misbehaviour: {other}")),
    })
}

/// `30s`, `15m`, `12h`, `90d`.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no span of time such as 30s, 15m, 12h or 90d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}
