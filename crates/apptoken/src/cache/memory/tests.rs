use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::super::slot::tests::{at, token};
use super::*;

fn memory(entries: usize) -> Memory {
    Memory::new(Bounds { entries, ..Bounds::default() })
}

fn key<'a>(memory: &Memory, scope: &'a str) -> KeyRef<'a> {
    let tenant = "contoso.com";
    KeyRef { tenant, tenant_hash: memory.tenant_hash(tenant), scope, extra: "" }
}

/// A token for `scope`, as a request brings it.
fn fill(memory: &Memory, scope: &str, now: Moment, life: u64) {
    let end = now.as_millis() / 1000 + life;
    let entry = memory.entry(key(memory, scope), now);
    memory.store(&entry, token(end, end, end), 0, now);
}

#[test]
fn tenants_scopes_and_owners_do_not_share() {
    let memory = memory(10);
    let entry = |key| memory.entry(key, at(0));
    let one = entry(key(&memory, "a"));
    assert!(Arc::ptr_eq(&one, &entry(key(&memory, "a"))));
    // held, these and another owner's: they could not be taken out by the hashes that they should have
    let held = [
        key(&memory, "b"),
        KeyRef { tenant: "fabrikam.com", ..key(&memory, "a") },
        KeyRef { extra: "1:a", ..key(&memory, "a") },
        // the same characters, cut elsewhere
        KeyRef { tenant: "contoso.co", ..key(&memory, "ma") },
    ]
    .map(entry);
    assert!(held.iter().all(|other| !Arc::ptr_eq(&one, other)));
    let other = memory.of_another();
    let others = other.entry(key(&memory, "a"), at(0));
    assert!(!Arc::ptr_eq(&one, &others));
    fill(&memory, "a", at(0), 60);
    assert!(memory.fresh(key(&memory, "a"), at(1)).is_some() && other.fresh(key(&memory, "a"), at(1)).is_none());
    other.clear(None);
    assert_eq!((memory.tokens(), other.tokens()), (1, 0));
}

/// Two keys may have the same hash: a bearer token is not served for one that is bound to a key all the same.
#[test]
fn an_entry_is_its_own_keys_whatever_the_hash() {
    let memory = memory(10);
    let own = KeyRef { extra: "7:req_cnf1:a", ..key(&memory, "a") };
    let entry = memory.entry(own, at(0));
    assert!(Key(memory.owner, own).is_of(&entry));
    assert!(!Key(memory.owner + 1, own).is_of(&entry));
    for other in [
        KeyRef { extra: "7:req_cnf1:b", ..own },
        KeyRef { extra: "", ..own },
        KeyRef { scope: "b", ..own },
        KeyRef { tenant: "contoso.net", ..own },
    ] {
        assert!(!Key(memory.owner, other).is_of(&entry));
        assert!(!Key(memory.owner, own).is_of(&memory.entry(other, at(0))));
    }
}

#[test]
fn an_entry_that_is_held_is_the_only_one_of_its_key_after_a_clearing_too() {
    let memory = memory(10);
    let held = memory.entry(key(&memory, "held"), at(1));
    for scope in ["held", "idle"] {
        fill(&memory, scope, at(1), 60);
    }
    assert_eq!((memory.counters().entries, memory.tokens()), (2, 2));
    memory.clear(None);
    assert_eq!((memory.counters().entries, memory.tokens()), (1, 0));
    assert!(Arc::ptr_eq(&held, &memory.entry(key(&memory, "held"), at(1))));
}

#[test]
fn the_bound_of_entries_holds_and_those_in_use_stay() {
    let memory = memory(32);
    let held = memory.entry(key(&memory, "held"), at(0));
    for i in 0..1000 {
        fill(&memory, &format!("scope {i}"), at(i), 3600);
        assert!(memory.counters().entries <= 33, "{:?}", memory.counters());
    }
    assert!(Arc::ptr_eq(&held, &memory.entry(key(&memory, "held"), at(1000))));
    let all = (0..1000).map(|i| memory.entry(key(&memory, &format!("scope {i}")), at(1000))).collect::<Vec<_>>();
    assert!(memory.counters().entries > 900, "those that are held are more than the bound allows");
    drop(all);
    for i in 0..1000 {
        fill(&memory, &format!("other {i}"), at(1000), 3600);
    }
    assert!(memory.counters().entries <= 33, "{:?}", memory.counters());
}

#[test]
fn the_bound_of_bytes_holds() {
    let memory = Memory::new(Bounds { bytes: 100_000, ..Bounds::default() });
    for i in 0..1000 {
        fill(&memory, &format!("scope {i}"), at(i), 3600);
        assert!(memory.counters().bytes <= 101_000, "{:?}", memory.counters());
    }
    let counters = memory.counters();
    assert!(counters.entries > 100 && counters.evictions > 500, "{counters:?}");
}

/// What is hit stays, when a thousand others pass through once.
#[test]
fn what_is_used_outlives_what_is_not() {
    let memory = memory(200);
    let hot = (0..50).map(|i| format!("hot {i}")).collect::<Vec<_>>();
    for scope in &hot {
        fill(&memory, scope, at(0), 100_000);
    }
    for i in 0..1000 {
        let now = at(60 * i);
        fill(&memory, &format!("cold {i}"), now, 100_000);
        for scope in &hot {
            memory.fresh(key(&memory, scope), now);
        }
    }
    let kept = hot.iter().filter(|scope| memory.fresh(key(&memory, scope), at(60_000)).is_some()).count();
    assert_eq!(kept, 50);
}

/// Each call looks at a few entries, and in the end at all.
#[test]
fn what_has_expired_is_swept_in_slices() {
    let memory = memory(1_000_000);
    for i in 0..1000 {
        fill(&memory, &format!("brief {i}"), at(0), 60);
    }
    let mut entries = memory.counters().entries;
    let mut calls = 0;
    while memory.counters().swept < 1000 {
        fill(&memory, "lasting", at(100), 3600);
        let left = memory.counters().entries;
        assert!(entries < left + 2 * SWEPT_AT_ONCE, "{entries} {left}");
        entries = left;
        calls += 1;
        assert!(calls < 2 * 1000 / SWEPT_AT_ONCE, "{:?}", memory.counters());
    }
    assert_eq!((memory.counters().entries, memory.counters().evictions), (1, 0));
    memory.clear(None);
    assert_eq!((memory.counters().entries, memory.counters().bytes), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8),
    Fill(u8, u16),
    Hold(u8),
    LetGo,
    Clear,
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Ask),
        8 => (any::<u8>(), 1..2000_u16).prop_map(|(key, life)| Step::Fill(key, life)),
        2 => any::<u8>().prop_map(Step::Hold),
        1 => Just(Step::LetGo),
        1 => Just(Step::Clear),
        2 => (1..1000_u16).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a map that never forgets: memory may have less, never another token or an expired one; what is held is
    /// there; what it says of its size is so.
    #[test]
    fn it_is_a_map_that_may_forget(steps in prop::collection::vec(step(), 1..300), bound in 1..64_usize) {
        let memory = memory(bound);
        let mut model = HashMap::<u8, Arc<TokenData>>::new();
        // with what their entry held last
        let mut held = Vec::<(u8, Arc<Entry>, Option<Arc<TokenData>>)>::new();
        let mut now = at(1);
        let mut most_held = 0;
        for step in steps {
            match step {
                Step::Ask(number) => {
                    let scope = number.to_string();
                    if let Some(fresh) = memory.fresh(key(&memory, &scope), now) {
                        let token = fresh.token.as_ref().expect("a token");
                        prop_assert!(Arc::ptr_eq(token, &model[&number]));
                        prop_assert!(now < token.timetable.refresh_at());
                    }
                }
                Step::Fill(number, life) => {
                    let end = now.as_millis() / 1000 + u64::from(life);
                    let token = token(end, end, end);
                    let entry = memory.entry(key(&memory, &number.to_string()), now);
                    memory.store(&entry, token.clone(), 0, now);
                    for (_, _, token_held) in held.iter_mut().filter(|(other, ..)| *other == number) {
                        *token_held = Some(token.clone());
                    }
                    model.insert(number, token);
                }
                Step::Hold(number) => {
                    let entry = memory.entry(key(&memory, &number.to_string()), now);
                    let token = entry.held();
                    prop_assert!(token.as_ref().is_none_or(|token| Arc::ptr_eq(token, &model[&number])));
                    held.push((number, entry, token));
                }
                Step::LetGo => drop(held.pop()),
                Step::Clear => {
                    memory.clear(None);
                    held.iter_mut().for_each(|(.., token)| *token = None);
                    model.clear();
                }
                Step::Wait(seconds) => now = now + Duration::from_secs(seconds.into()),
            }
            for (number, entry, token) in &held {
                prop_assert!(Arc::ptr_eq(entry, &memory.entry(key(&memory, &number.to_string()), now)));
                prop_assert_eq!(token.as_ref().map(Arc::as_ptr), entry.held().as_ref().map(Arc::as_ptr));
            }
            let shelf = memory.store.shelf();
            let bytes = shelf.iter().map(|entry| entry.bytes() + entry.held().map_or(0, |token| token.bytes()));
            let counters = memory.counters();
            prop_assert_eq!((counters.entries, counters.bytes), (shelf.iter().count(), bytes.sum::<usize>()));
            prop_assert_eq!(memory.store.entries.len(), counters.entries);
            most_held = most_held.max(held.len());
            prop_assert!(counters.entries <= bound + most_held + 1, "{:?}", counters);
        }
    }
}
