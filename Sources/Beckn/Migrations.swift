import SQL

extension BecknDoor {
    /// Numbers 300 to 399 are this door's.
    package static let migrations: [Migration] = [
        Migration(
            300, "orders, requests and callbacks of Beckn",
            """
            CREATE TABLE beckn_order (
                id TEXT PRIMARY KEY, bap_id TEXT NOT NULL, transaction_id TEXT NOT NULL,
                state TEXT NOT NULL, evse TEXT NOT NULL, body TEXT NOT NULL, deadline BIGINT,
                created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
                UNIQUE (bap_id, transaction_id));
            CREATE INDEX beckn_order_deadline ON beckn_order (deadline);
            CREATE INDEX beckn_order_evse ON beckn_order (evse, state);
            CREATE INDEX beckn_order_created ON beckn_order (created_at, id);
            CREATE TABLE beckn_request (
                bap_id TEXT NOT NULL, action TEXT NOT NULL, message_id TEXT NOT NULL,
                received_at BIGINT NOT NULL, PRIMARY KEY (bap_id, action, message_id));
            CREATE INDEX beckn_request_received ON beckn_request (received_at);
            CREATE TABLE beckn_outbox (
                seq {identity}, subject TEXT NOT NULL, bap_id TEXT NOT NULL, url TEXT NOT NULL,
                action TEXT NOT NULL, message_id TEXT NOT NULL, body TEXT NOT NULL,
                state TEXT NOT NULL, attempts BIGINT NOT NULL, next_at BIGINT NOT NULL,
                give_up_at BIGINT NOT NULL, created_at BIGINT NOT NULL, last_error TEXT);
            CREATE INDEX beckn_outbox_due ON beckn_outbox (state, next_at);
            CREATE INDEX beckn_outbox_subject ON beckn_outbox (subject, state, seq);
            CREATE TABLE beckn_refund (
                order_id TEXT PRIMARY KEY, amount TEXT NOT NULL, currency TEXT NOT NULL,
                reason TEXT NOT NULL, state TEXT NOT NULL, at BIGINT NOT NULL);
            CREATE TABLE beckn_rating (
                seq {identity}, bap_id TEXT NOT NULL, order_id TEXT, rated_id TEXT NOT NULL,
                category TEXT NOT NULL, value TEXT NOT NULL, at BIGINT NOT NULL);
            CREATE TABLE beckn_ticket (
                id TEXT PRIMARY KEY, bap_id TEXT NOT NULL, reference TEXT, body TEXT NOT NULL,
                state TEXT NOT NULL, at BIGINT NOT NULL);
            """),
        Migration(
            301, "which orders and tickets name nobody any more",
            """
            ALTER TABLE beckn_order ADD COLUMN anonymous_at BIGINT;
            CREATE INDEX beckn_order_named ON beckn_order (updated_at, id)
                WHERE anonymous_at IS NULL;
            ALTER TABLE beckn_ticket ADD COLUMN anonymous_at BIGINT;
            CREATE INDEX beckn_ticket_named ON beckn_ticket (at, id) WHERE anonymous_at IS NULL;
            """),
    ]
}
