//! The shops: orders taken over HTTP, paid for, shipped and told of. Two systems have the same four services and differ in
//! how these are wired.
//!
//! The storefront goes step by step, with a topic for every step:
//!
//! ```text
//! POST /orders ─▶ order ──order_created──▶ payment ──payment_successful──▶ inventory ──inventory_updated──┐
//!                  ▲  ▲                     │  ▲                                                          │
//!                  │  └────payment_failed───┘  └────────────────── out of stock: refund ──────────────────┤
//!                  └──────────────────────────────────────────────────────────────────────────────────────┘
//!                 notification confirms every step, and tells of it on notification_sent
//! ```
//!
//! The fanout goes side by side, with one topic that every service reads and writes:
//!
//! ```text
//! POST /api/orders ─▶ order ──PENDING──▶ order-created ──▶ inventory: RESERVED or OUT_OF_STOCK
//!                                                      └─▶ payment:   PAID or DECLINED
//!                     PAID ─▶ inventory: SHIPPED      DECLINED ─▶ inventory: RELEASED      OUT_OF_STOCK ─▶ payment: REFUNDED
//! ```
//!
//! An order ends COMPLETED (paid and shipped), DECLINED (not paid) or CANCELLED (paid, out of stock, refunded). Events are
//! keyed by user. Map: `facts` (what there is to tell), `wire` (how it is told: topics and payloads of each system),
//! `catalogue` (what is sold), a folder a service.

mod catalogue;
mod facts;
pub(crate) mod inventory;
pub(crate) mod notification;
pub(crate) mod order;
pub(crate) mod payment;
mod wire;

pub(crate) use wire::Flow;
