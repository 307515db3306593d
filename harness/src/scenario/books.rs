//! The books of a scenario: where they come from, how a line of JSON becomes a fact, and the rules that compare them.

use serde_json::Value as Json;
use shakedown_reports::books::Fact;
use shakedown_reports::rules::BookRule;

/// Books whose lines look as the services that come with Shakedown write them.
pub const KNOWN_BOOKS: [&str; 6] = ["steps", "payments", "movements", "sent", "outbox", "inbox"];

/// The books of stand-ins, under the names of who keeps them.
pub const STAND_IN_BOOKS: [&str; 3] = ["payment-provider", "warehouse", "mailbox"];

/// Everything that a scenario says about books.
#[derive(Debug, Clone, Default)]
pub struct BookPlan {
    /// What services say they did.
    pub services: Vec<ServiceBook>,
    /// What lies in topics.
    pub topics: Vec<TopicBook>,
    /// The rules that are expected to hold.
    pub rules: Vec<BookRule>,
}

impl BookPlan {
    /// Whether anybody compares books: else none is read.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        !self.rules.is_empty()
    }
}

/// A book that a service keeps.
#[derive(Debug, Clone)]
pub struct ServiceBook {
    /// Its name: that of the service, and its own.
    pub name: String,
    /// The service.
    pub service: String,
    /// The path.
    pub get: String,
    /// Where the fields are.
    pub fields: Fields,
}

/// The book of a topic.
#[derive(Debug, Clone)]
pub struct TopicBook {
    /// The topic.
    pub topic: String,
    /// Where the fields of its events are.
    pub fields: Fields,
}

/// Pointers at the fields of a [`Fact`]; one without a pointer stays empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of `Fact` of the same name")]
pub struct Fields {
    pub position: Option<String>,
    pub at_us: Option<String>,
    pub entity: Option<String>,
    pub kind: Option<String>,
    pub part: Option<String>,
    pub amount: Option<String>,
    pub quantity: Option<String>,
    pub version: Option<String>,
    pub status: Option<String>,
    pub event: Option<String>,
    pub key: Option<String>,
    pub stock: Option<[String; 3]>,
}

impl Fields {
    /// Those of a book of this name.
    #[must_use]
    pub fn of_book(name: &str) -> Self {
        let at = |pointer: &str| Some(pointer.to_owned());
        let common = Self { position: at("/position"), at_us: at("/at_us"), ..Self::default() };
        let about_order = Self { entity: at("/order_id"), ..common.clone() };
        match name {
            "steps" => Self {
                kind: at("/event"),
                amount: at("/total"),
                version: at("/version"),
                status: at("/status"),
                event: at("/event_id"),
                key: at("/user_id"),
                ..about_order
            },
            "payments" => Self {
                kind: at("/outcome"),
                amount: at("/amount"),
                event: at("/event_id"),
                key: at("/user_id"),
                ..about_order
            },
            "movements" => Self {
                kind: at("/kind"),
                part: at("/product_id"),
                quantity: at("/quantity"),
                stock: Some(["/on_hand", "/reserved", "/shipped"].map(str::to_owned)),
                ..about_order
            },
            "sent" => Self { kind: at("/about"), event: at("/about_event_id"), key: at("/user_id"), ..about_order },
            "outbox" => Self { kind: at("/topic"), event: at("/event_id"), key: at("/key"), ..common },
            "inbox" => Self { kind: at("/topic"), event: at("/event_id"), ..common },
            _ => common,
        }
    }

    /// Those of a topic's book, whose keys are those of the messages and whose kind is the topic where nothing else says so.
    #[must_use]
    pub fn of_topic() -> Self {
        let [entity, amount, event, at_us] =
            ["/order_id", "/total", "/event_id", "/at_us"].map(|pointer| Some(pointer.to_owned()));
        Self { entity, amount, event, at_us, ..Self::default() }
    }

    /// The fact that a line of a book is.
    ///
    /// # Errors
    /// When a field is not where its pointer says, or is of another type; in words.
    pub fn read(&self, json: &Json) -> Result<Fact, String> {
        let number = |pointer: &Option<String>| pointer.as_deref().map(|pointer| whole(json, pointer)).transpose();
        let word =
            |pointer: &Option<String>| pointer.as_deref().map_or(Ok(String::new()), |pointer| text(json, pointer));
        let stock = self.stock.as_ref().map(|pointers| {
            let [on_hand, reserved, shipped] = pointers.each_ref().map(|pointer| whole(json, pointer));
            Ok::<_, String>([on_hand?, reserved?, shipped?])
        });
        let position = number(&self.position)?.unwrap_or_default();
        Ok(Fact {
            position: u64::try_from(position).map_err(|_| format!("its position is {position}"))?,
            at_us: number(&self.at_us)?.unwrap_or_default(),
            entity: word(&self.entity)?,
            kind: word(&self.kind)?,
            part: word(&self.part)?,
            amount: number(&self.amount)?,
            quantity: number(&self.quantity)?,
            version: number(&self.version)?,
            status: word(&self.status)?,
            event: word(&self.event)?,
            key: word(&self.key)?,
            stock: stock.transpose()?,
        })
    }

    /// Like [`Fields::read`], of a message that anybody may have written: what is not there stays empty.
    #[must_use]
    pub fn read_leniently(&self, json: &Json) -> Fact {
        let number = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| whole(json, pointer).ok());
        let word = |pointer: &Option<String>| {
            pointer.as_deref().and_then(|pointer| text(json, pointer).ok()).unwrap_or_default()
        };
        Fact {
            at_us: number(&self.at_us).unwrap_or_default(),
            entity: word(&self.entity),
            kind: word(&self.kind),
            amount: number(&self.amount),
            event: word(&self.event),
            ..Fact::default()
        }
    }
}

fn whole(json: &Json, pointer: &str) -> Result<i64, String> {
    json.pointer(pointer).and_then(Json::as_i64).ok_or_else(|| format!("`{pointer}` is not a whole number"))
}

fn text(json: &Json, pointer: &str) -> Result<String, String> {
    match json.pointer(pointer) {
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        _ => Err(format!("`{pointer}` is neither a string nor a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lines_of_our_services_are_facts() {
        let step = json!({"position": 7, "order_id": "o-1", "user_id": "ada", "version": 2, "status": "PAID",
            "event": "payment_successful", "event_id": "e-2", "total": 1250, "at_us": 99});
        let fact = Fields::of_book("steps").read(&step).expect("a step");
        let expected = Fact {
            position: 7,
            at_us: 99,
            entity: "o-1".to_owned(),
            kind: "payment_successful".to_owned(),
            amount: Some(1250),
            version: Some(2),
            status: "PAID".to_owned(),
            event: "e-2".to_owned(),
            key: "ada".to_owned(),
            ..Fact::default()
        };
        assert_eq!(fact, expected);
        let moved = json!({"position": 1, "order_id": "o-1", "product_id": "tea", "kind": "reserve", "quantity": 2,
            "on_hand": 8, "reserved": 2, "shipped": 0, "at_us": 1});
        let fact = Fields::of_book("movements").read(&moved).expect("a movement");
        assert_eq!((fact.part.as_str(), fact.quantity, fact.stock), ("tea", Some(2), Some([8, 2, 0])));
        let entry = json!({"position": 3, "event_id": "e-2", "topic": "order_created", "key": "ada", "at_us": 1});
        let fact = Fields::of_book("outbox").read(&entry).expect("an entry");
        assert_eq!((fact.kind.as_str(), fact.event.as_str(), fact.key.as_str()), ("order_created", "e-2", "ada"));
        assert!(Fields::of_book("inbox").read(&entry).is_ok());
        for (book, path) in [("payments", "/outcome"), ("sent", "/about")] {
            assert_eq!(Fields::of_book(book).kind.as_deref(), Some(path));
        }
    }

    #[test]
    fn what_is_not_there_is_said_in_a_book_and_left_out_of_a_topic() {
        let strange = json!({"position": 1, "at_us": 1, "order_id": ["o-1"], "total": "12"});
        let error = Fields::of_book("steps").read(&strange).expect_err("no order");
        assert_eq!(error, "`/order_id` is neither a string nor a number");
        let negative = json!({"position": -1, "at_us": 1, "event_id": "e", "topic": "t"});
        assert_eq!(Fields::of_book("inbox").read(&negative).expect_err("no position"), "its position is -1");
        let fact = Fields::of_topic().read_leniently(&strange);
        assert_eq!((fact.entity.as_str(), fact.amount, fact.at_us), ("", None, 1));
    }
}
