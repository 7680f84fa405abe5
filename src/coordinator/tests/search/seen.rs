//! The worlds that were met: sixteen bytes for each, and whether it lies on the way that is being followed.

/// So many tables, each of which grows by itself: growth needs little room beside what is there.
const DRAWERS: usize = 256;
/// Of five places of a drawer at most four are taken, so that a search in it is short.
const TAKEN: usize = 4;
const OF: usize = 5;

/// What is known of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing, until now.
    New,
    /// The way that is being followed leads through it.
    OnTheWay,
    /// All that can follow from it was seen.
    Done,
}

/// The lowest bit of a place says whether its world lies on the way; the other 127 are its fingerprint's. Zero is free.
const ON_THE_WAY: u128 = 1;

struct Drawer {
    places: Vec<u128>,
    taken: usize,
}

impl Drawer {
    /// Where this world is, or where it would be.
    fn find(&self, key: u128) -> usize {
        // The upper byte has chosen the drawer. The 64 bits below it choose the place, in proportion.
        let share = u128::from((key >> 56) as u64);
        let mut at = ((share * self.places.len() as u128) >> 64) as usize;
        while self.places[at] != 0 && self.places[at] | ON_THE_WAY != key | ON_THE_WAY {
            at = if at + 1 == self.places.len() { 0 } else { at + 1 };
        }
        at
    }

    fn grow(&mut self) {
        let size = self.places.len() + self.places.len() / 5 + 16;
        let old = std::mem::replace(&mut self.places, vec![0; size]);
        for place in old.into_iter().filter(|place| *place != 0) {
            let at = self.find(place);
            self.places[at] = place;
        }
    }
}

pub(super) struct Seen(Vec<Drawer>);

impl Seen {
    pub(super) fn new() -> Self {
        Self((0..DRAWERS).map(|_| Drawer { places: vec![0; 16], taken: 0 }).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|drawer| drawer.taken).sum()
    }

    /// How many bytes it has taken.
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|drawer| drawer.places.len() * size_of::<u128>()).sum()
    }

    /// The way has come to this world: what was known of it before.
    pub(super) fn enter(&mut self, fingerprint: u128) -> Known {
        let (key, drawer) = self.place_of(fingerprint);
        let at = drawer.find(key);
        match drawer.places[at] {
            0 => {
                drawer.places[at] = key | ON_THE_WAY;
                drawer.taken += 1;
                if drawer.taken * OF > drawer.places.len() * TAKEN {
                    drawer.grow();
                }
                Known::New
            }
            place if place & ON_THE_WAY != 0 => Known::OnTheWay,
            _ => Known::Done,
        }
    }

    /// The way goes back from it.
    pub(super) fn leave(&mut self, fingerprint: u128) {
        let (key, drawer) = self.place_of(fingerprint);
        let at = drawer.find(key);
        drawer.places[at] = key;
    }

    fn place_of(&mut self, fingerprint: u128) -> (u128, &mut Drawer) {
        // Never zero: that is a free place.
        let key = (fingerprint & !ON_THE_WAY) | 2;
        (key, &mut self.0[(fingerprint >> 120) as usize])
    }
}

mod tests {
    use super::*;
    use crate::coordinator::tests::search::hash::fingerprint;

    #[test]
    fn what_was_entered_is_on_the_way_until_it_is_left() {
        let mut seen = Seen::new();
        let keys: Vec<u128> = (0..20_000).map(|n| fingerprint(&[n])).collect();
        assert!(keys.iter().all(|key| seen.enter(*key) == Known::New));
        keys.iter().step_by(2).for_each(|key| seen.leave(*key));
        for (n, key) in keys.iter().enumerate() {
            assert_eq!(seen.enter(*key), if n % 2 == 0 { Known::Done } else { Known::OnTheWay });
        }
        assert_eq!(seen.count(), keys.len());
        assert!(seen.bytes() < 3 * 16 * keys.len());
    }
}
