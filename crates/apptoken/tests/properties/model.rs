//! What a slot is meant to do, as plain as it can be said: one key, whole seconds, nothing at the same time.

use apptoken::ErrorKind;

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// So many [`STEP`]s pass.
    Pass(u64),
    /// One more caller.
    Call(Kind),
    /// The authority answers one of the requests that it has.
    Answer(usize, Answer),
    /// One of the callers who wait gives up.
    Leave(usize),
    /// The tokens are forgotten.
    Clear,
    /// The credential is replaced.
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Source,
    Forced,
    Claims,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A token that is refreshed ahead.
    Long,
    /// One that is not.
    Short,
    Ill,
    Throttled,
    Denied,
    WrongSecret,
}

/// What a caller gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Got {
    Token { of_request: usize, stale: bool },
    Error { kind: &'static str, retry_after: Option<u64> },
}

/// No moment of interest but those on both sides of it lies between two steps.
pub(crate) const STEP: u64 = 40;
/// Seconds of the tokens and answers.
pub(crate) const LONG: Life = Life { refresh_at: 120, margin_at: 700, expires_at: 1000 };
pub(crate) const SHORT: Life = Life { refresh_at: 200, margin_at: 200, expires_at: 400 };
pub(crate) const RETRY_AFTER: u64 = 100;
/// A failed refresh is tried again after half of this or more.
const PAUSE: u64 = 30;
/// A refresh that has not ended is begun anew.
const REFRESH_PATIENCE: u64 = 90;

#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub(crate) refresh_at: u64,
    pub(crate) margin_at: u64,
    pub(crate) expires_at: u64,
}

/// The reference.
#[derive(Default)]
pub(crate) struct Model {
    now: u64,
    token: Option<Token>,
    /// Until when the token is handed out without a thought.
    fresh_until: u64,
    /// The authority wants to be left alone, by the credential of this number.
    wait: Option<(u64, u64)>,
    credential: u64,
    flights: Vec<Flight>,
    /// How many flights there have been, and which of them brought the token that is kept.
    begun: usize,
    kept_of: usize,
    /// How many requests were sent.
    pub(crate) sent: usize,
    callers: usize,
    /// What callers have got since it was last taken.
    pub(crate) got: Vec<(usize, Got)>,
}

#[derive(Clone, Copy, PartialEq)]
struct Token {
    of_request: usize,
    refresh_at: u64,
    margin_at: u64,
    expires_at: u64,
}

/// A request that the authority has, and who wants its outcome.
struct Flight {
    request: usize,
    /// When its request was sent: a token's life counts from then.
    sent_at: u64,
    /// Which flight it is, the first being 0.
    number: usize,
    claims: bool,
    /// False for what was asked for before the tokens were forgotten: nobody joins it, and its token is not kept.
    current: bool,
    credential: u64,
    /// It was sent a second time, with a new credential.
    again: bool,
    /// Those who wait, with the token that they have to fall back on.
    waiting: Vec<(usize, Option<Token>)>,
    /// It goes on although nobody waits.
    behind: bool,
}

impl Model {
    pub(crate) fn happens(&mut self, event: Event) {
        match event {
            Event::Pass(steps) => self.pass(steps * STEP),
            Event::Call(kind) => self.call(kind),
            Event::Answer(which, answer) => {
                if let Some(request) = pick(&self.open(), which) {
                    self.answer(request, answer);
                }
            }
            Event::Leave(which) => {
                if let Some(caller) = pick(&self.waiting(), which) {
                    self.flights.iter_mut().for_each(|flight| flight.waiting.retain(|(other, _)| *other != caller));
                    self.flights.retain(|flight| flight.behind || !flight.waiting.is_empty());
                }
            }
            Event::Clear => {
                (self.token, self.fresh_until, self.wait) = (None, 0, None);
                self.flights.iter_mut().for_each(|flight| flight.current = false);
            }
            Event::Replace => self.credential += 1,
        }
    }

    /// The requests that the authority has, oldest first.
    pub(crate) fn open(&self) -> Vec<usize> {
        sorted(self.flights.iter().map(|flight| flight.request))
    }

    /// The callers who wait, in the order of their coming.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        sorted(self.flights.iter().flat_map(|flight| &flight.waiting).map(|(caller, _)| *caller))
    }

    fn call(&mut self, kind: Kind) {
        let caller = self.callers;
        self.callers += 1;
        let takes_kept = matches!(kind, Kind::Plain | Kind::Source);
        let mut fallback = None;
        if let Some(token) = self.token.filter(|token| takes_kept && self.now < token.expires_at) {
            if self.now < self.fresh_until {
                return self.gets(caller, token, self.now >= token.margin_at);
            }
            if self.now < token.margin_at {
                if let Ok(flight) = self.join_or_ask(false) {
                    flight.behind = true;
                }
                // also when the authority wants to be left alone: the next look is not for each caller to take
                self.prolong(REFRESH_PATIENCE);
                return self.gets(caller, token, false);
            }
            fallback = Some(token);
        }
        match self.join_or_ask(kind == Kind::Claims) {
            Ok(flight) => flight.waiting.push((caller, fallback)),
            Err(left) => self.gets_none(caller, fallback, ErrorKind::Throttled, Some(left)),
        }
    }

    /// One request at a time for the same claims, none while the authority wants to be left alone.
    fn join_or_ask(&mut self, claims: bool) -> Result<&mut Flight, u64> {
        let same = self.flights.iter().position(|flight| flight.current && flight.claims == claims);
        let index = match (same, self.wait) {
            (Some(index), _) => index,
            (None, Some((until, credential))) if self.now < until && credential == self.credential => {
                return Err(until - self.now);
            }
            (None, _) => {
                let credential = self.credential;
                let (request, sent_at, number, waiting) = (self.send(), self.now, self.begun, Vec::new());
                let (current, again, behind) = (true, false, false);
                let flight = Flight { request, sent_at, number, claims, current, credential, again, waiting, behind };
                self.flights.push(flight);
                self.begun += 1;
                self.flights.len() - 1
            }
        };
        Ok(&mut self.flights[index])
    }

    fn answer(&mut self, request: usize, answer: Answer) {
        let index = self.flights.iter().position(|flight| flight.request == request).unwrap();
        let (credential, again) = (self.flights[index].credential, self.flights[index].again);
        if answer == Answer::WrongSecret && credential != self.credential && !again {
            let (request, credential) = (self.send(), self.credential);
            let (flight, now) = (&mut self.flights[index], self.now);
            (flight.request, flight.sent_at, flight.credential, flight.again) = (request, now, credential, true);
            return;
        }
        let flight = self.flights.remove(index);
        let in_time = |life: Life| self.now <= flight.sent_at + life.expires_at;
        let (kind, wait) = match answer {
            Answer::Long if in_time(LONG) => return self.arrives(flight, LONG),
            Answer::Short if in_time(SHORT) => return self.arrives(flight, SHORT),
            // a token that has expired on its way is none
            Answer::Long | Answer::Short | Answer::Ill => (ErrorKind::Transport, None),
            Answer::Throttled => (ErrorKind::Throttled, Some(RETRY_AFTER)),
            Answer::Denied | Answer::WrongSecret => (ErrorKind::Denied, None),
        };
        if let Some(wait) = wait {
            self.wait = Some((self.now + wait, credential));
        }
        if let Some(token) = self.token.filter(|token| self.now >= token.refresh_at) {
            match self.now < token.expires_at {
                true => self.prolong(wait.unwrap_or(PAUSE)),
                false => self.fresh_until = 0,
            }
        }
        for (caller, fallback) in flight.waiting {
            self.gets_none(caller, fallback, kind, wait);
        }
    }

    fn arrives(&mut self, flight: Flight, life: Life) {
        let at = |after| flight.sent_at + after;
        let (refresh_at, margin_at, expires_at) = (at(life.refresh_at), at(life.margin_at), at(life.expires_at));
        let token = Token { of_request: flight.request, refresh_at, margin_at, expires_at };
        // what was asked for before the kept token was is older than it
        if flight.current && flight.number >= self.kept_of {
            self.kept_of = flight.number;
            (self.token, self.fresh_until, self.wait) = (Some(token), refresh_at, None);
        }
        for (caller, _) in flight.waiting {
            self.gets(caller, token, false);
        }
    }

    /// Nobody who has a valid token waits for long.
    fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        let mut tired = Vec::new();
        for flight in &mut self.flights {
            for (caller, fallback) in std::mem::take(&mut flight.waiting) {
                match fallback {
                    Some(token) if self.now < token.expires_at => {
                        flight.behind = true;
                        tired.push((caller, fallback));
                    }
                    other => flight.waiting.push((caller, other)),
                }
            }
        }
        for (caller, fallback) in tired {
            if self.token == fallback {
                self.prolong(REFRESH_PATIENCE);
            }
            self.gets_none(caller, fallback, ErrorKind::Transport, None);
        }
    }

    /// The token is handed out for so long, but not past the next change of its standing.
    fn prolong(&mut self, seconds: u64) {
        if let Some(token) = self.token {
            let bound = if self.now < token.margin_at { token.margin_at } else { token.expires_at };
            self.fresh_until = bound.min(self.now + seconds);
        }
    }

    fn gets(&mut self, caller: usize, token: Token, stale: bool) {
        self.got.push((caller, Got::Token { of_request: token.of_request, stale }));
    }

    /// A valid token beats an error.
    fn gets_none(&mut self, caller: usize, fallback: Option<Token>, kind: ErrorKind, retry_after: Option<u64>) {
        match fallback.filter(|token| self.now < token.expires_at) {
            Some(token) => self.gets(caller, token, true),
            None => self.got.push((caller, Got::Error { kind: word(kind), retry_after })),
        }
    }

    fn send(&mut self) -> usize {
        self.sent += 1;
        self.sent - 1
    }
}

pub(crate) fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Denied => "denied",
        ErrorKind::Throttled => "throttled",
        ErrorKind::Transport => "transport",
        _ => "another",
    }
}

pub(crate) fn pick(list: &[usize], which: usize) -> Option<usize> {
    list.get(which.checked_rem(list.len())?).copied()
}

fn sorted(numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut numbers = numbers.collect::<Vec<_>>();
    numbers.sort_unstable();
    numbers
}
