import SQL

extension ChargePointOperator {
    /// Numbers 1 to 99. Times are milliseconds UTC, energy Wh, nouns in the spelling of `Stored`.
    package static let migrations: [Migration] = [
        Migration(
            1, "the journal and its readers",
            """
            CREATE TABLE journal (
                seq {identity}, at BIGINT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
                body TEXT NOT NULL);
            CREATE TABLE journal_cursor (
                reader TEXT PRIMARY KEY, seq BIGINT NOT NULL, moved_at BIGINT NOT NULL);
            CREATE TABLE journal_parked (
                reader TEXT NOT NULL, seq BIGINT NOT NULL, at BIGINT NOT NULL,
                reason TEXT NOT NULL, PRIMARY KEY (reader, seq));
            CREATE TABLE sequence (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
            """),
        Migration(
            2, "stations, their connectors and what these reported",
            """
            CREATE TABLE station (
                id TEXT PRIMARY KEY, folded TEXT NOT NULL UNIQUE, registration TEXT NOT NULL,
                vendor TEXT, model TEXT, serial TEXT, firmware TEXT, meter_type TEXT,
                meter_serial TEXT, subprotocol TEXT, is_online BIGINT NOT NULL,
                link_epoch BIGINT NOT NULL, link_changed_at BIGINT, booted_at BIGINT,
                created_at BIGINT NOT NULL);
            CREATE TABLE station_connector (
                station TEXT NOT NULL REFERENCES station(id), number BIGINT NOT NULL,
                status TEXT NOT NULL, error_code TEXT NOT NULL, info TEXT,
                vendor_error_code TEXT, at BIGINT NOT NULL, last_stop_register_wh BIGINT,
                PRIMARY KEY (station, number));
            CREATE TABLE status_change (
                station TEXT NOT NULL, connector BIGINT NOT NULL, at BIGINT NOT NULL,
                status TEXT NOT NULL, error_code TEXT NOT NULL, received_at BIGINT NOT NULL,
                PRIMARY KEY (station, connector, at, status, error_code));
            """),
        Migration(
            3, "places, tariffs and tokens",
            """
            CREATE TABLE location (
                id TEXT PRIMARY KEY, body TEXT NOT NULL, last_updated BIGINT NOT NULL);
            CREATE TABLE evse (
                uid TEXT PRIMARY KEY, location TEXT NOT NULL REFERENCES location(id),
                position BIGINT NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL,
                last_updated BIGINT NOT NULL);
            CREATE INDEX evse_location ON evse(location);
            CREATE TABLE tariff (
                id TEXT PRIMARY KEY, body TEXT NOT NULL, is_deleted BIGINT NOT NULL,
                last_updated BIGINT NOT NULL);
            CREATE TABLE token (
                party TEXT NOT NULL, uid TEXT NOT NULL, kind TEXT NOT NULL, id_tag TEXT NOT NULL,
                body TEXT NOT NULL, last_updated BIGINT NOT NULL,
                PRIMARY KEY (party, uid, kind));
            CREATE INDEX token_id_tag ON token(id_tag);
            """),
        Migration(
            4, "sessions with what was measured, and their bills",
            """
            CREATE TABLE session (
                key BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, station TEXT NOT NULL,
                connector BIGINT NOT NULL, id_tag TEXT NOT NULL, natural_at BIGINT NOT NULL,
                meter_start_wh BIGINT NOT NULL, repetition BIGINT NOT NULL,
                reference TEXT NOT NULL, status TEXT NOT NULL, closure TEXT NOT NULL,
                started_at BIGINT NOT NULL, ended_at BIGINT, meter_last_wh BIGINT NOT NULL,
                start_status TEXT, authorization_status TEXT NOT NULL, auth_method TEXT NOT NULL,
                authorization_reference TEXT, token_party TEXT NOT NULL, token_uid TEXT NOT NULL,
                location TEXT NOT NULL, evse_uid TEXT NOT NULL, sealed TEXT NOT NULL,
                stop_reason TEXT, stop_raw TEXT, result TEXT, suspicions TEXT NOT NULL,
                created_at BIGINT NOT NULL, last_updated BIGINT NOT NULL,
                UNIQUE (station, connector, id_tag, natural_at, meter_start_wh, repetition));
            CREATE INDEX session_open ON session(closure);
            CREATE INDEX session_reference ON session(station, reference);
            CREATE INDEX session_connector ON session(station, connector, started_at);
            CREATE INDEX session_started ON session(started_at);
            CREATE TABLE meter_reading (
                session BIGINT NOT NULL, at BIGINT NOT NULL, finger BIGINT NOT NULL,
                register_wh BIGINT, samples TEXT NOT NULL, PRIMARY KEY (session, at, finger));
            CREATE TABLE cdr (
                id TEXT PRIMARY KEY, session TEXT NOT NULL, credit_of TEXT,
                token_party TEXT NOT NULL, body TEXT NOT NULL, created_at BIGINT NOT NULL);
            CREATE INDEX cdr_session ON cdr(session);
            CREATE INDEX cdr_created ON cdr(created_at);
            """),
        Migration(
            5, "commands and what looks wrong",
            """
            CREATE TABLE command (
                id TEXT PRIMARY KEY, station TEXT NOT NULL, name TEXT NOT NULL,
                connector BIGINT, id_tag TEXT, session TEXT, body TEXT NOT NULL,
                state TEXT NOT NULL, door TEXT NOT NULL, reference TEXT NOT NULL, token TEXT,
                authorization_reference TEXT, tariff TEXT, created_at BIGINT NOT NULL,
                sent_at BIGINT, answered_at BIGINT, seen_at BIGINT, answer TEXT, effect TEXT);
            CREATE INDEX command_state ON command(state);
            CREATE INDEX command_station ON command(station, created_at);
            CREATE TABLE suspicion (
                id {identity}, at BIGINT NOT NULL, code TEXT NOT NULL, station TEXT NOT NULL,
                connector BIGINT, session TEXT, detail TEXT NOT NULL, state TEXT NOT NULL,
                decided_by TEXT, decided_at BIGINT);
            CREATE INDEX suspicion_state ON suspicion(state);
            """),
        Migration(
            20, "reservations by the numbers stations know them by",
            """
            CREATE TABLE reservation (
                number {identity}, station TEXT NOT NULL, connector BIGINT NOT NULL,
                id_tag TEXT NOT NULL, group_tag TEXT, expires_at BIGINT NOT NULL,
                party TEXT NOT NULL, partner_id TEXT, created_at BIGINT NOT NULL);
            CREATE UNIQUE INDEX reservation_partner ON reservation(party, partner_id);
            """),
        Migration(
            21, "messages of transactions that nobody knows",
            """
            CREATE TABLE parked (
                id {identity}, station TEXT NOT NULL, reference TEXT NOT NULL, kind TEXT NOT NULL,
                finger TEXT NOT NULL, payload TEXT NOT NULL, received_at BIGINT NOT NULL,
                reason TEXT NOT NULL, state TEXT NOT NULL, suspicion BIGINT, session TEXT,
                UNIQUE (station, reference, finger));
            CREATE INDEX parked_station ON parked(station, state);
            CREATE INDEX parked_suspicion ON parked(suspicion);
            """),
        Migration(
            22, "the server's time beside the charger's",
            """
            ALTER TABLE meter_reading ADD COLUMN received_at BIGINT;
            ALTER TABLE session ADD COLUMN stop_received_at BIGINT;
            CREATE TABLE station_clock (
                station TEXT PRIMARY KEY, skew_ms BIGINT NOT NULL, measured_at BIGINT NOT NULL);
            """),
        Migration(
            23, "which sessions' numbers the station knows, and what a station is suspected of",
            """
            ALTER TABLE session ADD COLUMN is_acknowledged BIGINT NOT NULL DEFAULT 0;
            CREATE INDEX suspicion_station ON suspicion(station, state);
            """),
        Migration(
            24, "which stations may remember a tag, whose caches to clear, and bounds of groups",
            """
            CREATE TABLE shown_tag (
                id_tag TEXT NOT NULL, station TEXT NOT NULL, at BIGINT NOT NULL,
                PRIMARY KEY (id_tag, station));
            CREATE INDEX shown_tag_station ON shown_tag(station);
            CREATE TABLE cache_clear (
                station TEXT PRIMARY KEY, since BIGINT NOT NULL, tried_at BIGINT);
            CREATE TABLE token_group (
                party TEXT NOT NULL, id TEXT NOT NULL, folded TEXT NOT NULL,
                most_charges BIGINT NOT NULL, PRIMARY KEY (party, folded));
            """),
        Migration(
            25, "what became anonymous, and which erasures were made",
            """
            ALTER TABLE session ADD COLUMN anonymous_at BIGINT;
            ALTER TABLE session ADD COLUMN thinned_at BIGINT;
            CREATE INDEX session_named ON session(ended_at, key)
                WHERE anonymous_at IS NULL AND ended_at IS NOT NULL;
            CREATE INDEX session_fine ON session(ended_at, key)
                WHERE thinned_at IS NULL AND ended_at IS NOT NULL;
            CREATE INDEX suspicion_session ON suspicion(session, state);
            ALTER TABLE command ADD COLUMN anonymous_at BIGINT;
            CREATE INDEX command_named ON command(created_at, id) WHERE anonymous_at IS NULL;
            ALTER TABLE parked ADD COLUMN anonymous_at BIGINT;
            CREATE INDEX parked_named ON parked(received_at, id) WHERE anonymous_at IS NULL;
            CREATE INDEX shown_tag_at ON shown_tag(at);
            CREATE TABLE erasure (
                hash TEXT PRIMARY KEY, kind TEXT NOT NULL, party TEXT NOT NULL, at BIGINT NOT NULL,
                state TEXT NOT NULL, made_by TEXT NOT NULL);
            CREATE TABLE erasure_key (id BIGINT PRIMARY KEY, secret TEXT NOT NULL);
            CREATE TABLE retention_count (kind TEXT PRIMARY KEY, total BIGINT NOT NULL);
            """),
        Migration(
            27, "sites whose current is shared, limits on them, and what connectors were told",
            """
            CREATE TABLE site (id TEXT PRIMARY KEY, body TEXT NOT NULL, updated_at BIGINT NOT NULL);
            CREATE TABLE site_limit (
                site TEXT NOT NULL, node TEXT NOT NULL, source TEXT NOT NULL, body TEXT NOT NULL,
                valid_from BIGINT NOT NULL, valid_until BIGINT NOT NULL, set_at BIGINT NOT NULL,
                PRIMARY KEY (site, node, source));
            CREATE TABLE site_connector (
                station TEXT NOT NULL, connector BIGINT NOT NULL, site TEXT, told TEXT NOT NULL,
                PRIMARY KEY (station, connector));
            """),
        Migration(
            28, "charging profiles that stations shall hold",
            """
            CREATE TABLE charging_profile (
                number {identity}, station TEXT NOT NULL, name TEXT NOT NULL,
                connector BIGINT NOT NULL, session TEXT, body TEXT NOT NULL, source TEXT NOT NULL,
                state TEXT NOT NULL, answer TEXT, told_at BIGINT, retry_at BIGINT,
                changed_at BIGINT NOT NULL, revision BIGINT NOT NULL, UNIQUE (station, name));
            CREATE INDEX charging_profile_session ON charging_profile(session);
            """),
        Migration(
            29, "connectors by their site, and copies of a station's profile for one connector",
            """
            CREATE INDEX site_connector_site ON site_connector(site);
            ALTER TABLE charging_profile ADD COLUMN copy_of BIGINT;
            """),
        Migration(
            30, "firmware campaigns, and what stations said last of their updates",
            """
            CREATE TABLE campaign (
                id TEXT PRIMARY KEY, state TEXT NOT NULL, plan TEXT NOT NULL, reason TEXT,
                forgiven BIGINT NOT NULL, made_by TEXT NOT NULL, created_at BIGINT NOT NULL,
                changed_at BIGINT NOT NULL);
            CREATE TABLE campaign_member (
                campaign TEXT NOT NULL REFERENCES campaign(id), station TEXT NOT NULL,
                position BIGINT NOT NULL, wave BIGINT NOT NULL, state TEXT NOT NULL,
                tries BIGINT NOT NULL, command TEXT, request BIGINT, ordered_at BIGINT,
                retry_at BIGINT, changed_at BIGINT NOT NULL, former_firmware TEXT, note TEXT,
                PRIMARY KEY (campaign, station));
            CREATE INDEX campaign_member_station ON campaign_member(station);
            CREATE TABLE station_firmware (
                station TEXT PRIMARY KEY, status TEXT NOT NULL, request BIGINT,
                at BIGINT NOT NULL);
            """),
        Migration(
            31, "settings by model, and what stations have of them",
            """
            CREATE TABLE template (
                id TEXT PRIMARY KEY, vendor TEXT NOT NULL, model TEXT NOT NULL,
                vendor_folded TEXT NOT NULL, model_folded TEXT NOT NULL, body TEXT NOT NULL,
                changed_at BIGINT NOT NULL, UNIQUE (vendor_folded, model_folded));
            CREATE TABLE station_setting (
                station TEXT NOT NULL, folded TEXT NOT NULL, key TEXT NOT NULL, value TEXT,
                is_readonly BIGINT NOT NULL, read_at BIGINT, answer TEXT, answered_at BIGINT,
                PRIMARY KEY (station, folded));
            CREATE TABLE template_read (station TEXT PRIMARY KEY, asked_at BIGINT NOT NULL);
            """),
        Migration(
            32, "what became of a reservation",
            """
            ALTER TABLE reservation ADD COLUMN state TEXT;
            ALTER TABLE reservation ADD COLUMN session TEXT;
            """),
        Migration(
            33,
            "of a token that an earlier version kept twice, in two cases, its owner's last word",
            """
            DELETE FROM token WHERE EXISTS (
                SELECT 1 FROM token other WHERE other.party = token.party
                AND other.kind = token.kind AND other.id_tag = token.id_tag
                AND other.uid <> token.uid AND (other.last_updated > token.last_updated
                OR (other.last_updated = token.last_updated AND other.uid < token.uid)));
            """),
        Migration(
            34, "which lines that were set aside a person wants tried once more",
            """
            ALTER TABLE journal_parked ADD COLUMN asked_at BIGINT;
            """),
        Migration(
            35, "since when a connector has the status it has",
            """
            ALTER TABLE station_connector ADD COLUMN since BIGINT;
            """),
        Migration(
            36, "when a profile is told anew, and since when a station keeps a campaign waiting",
            """
            ALTER TABLE charging_profile ADD COLUMN renew_at BIGINT;
            ALTER TABLE campaign_member ADD COLUMN wait_since BIGINT;
            """),
        Migration(
            37, "when another device came by a station's id, and which one was there before",
            """
            ALTER TABLE station ADD COLUMN former_identity TEXT;
            ALTER TABLE station ADD COLUMN replaced_at BIGINT;
            ALTER TABLE station ADD COLUMN replaced_times BIGINT;
            """),
        Migration(
            38, "which statuses are old",
            """
            CREATE INDEX status_change_received ON status_change(received_at);
            """),
        Migration(
            39, "since when a station that was taken in stands in the inbox again",
            """
            ALTER TABLE station ADD COLUMN waits_since BIGINT;
            """),
        Migration(
            40, "the newest security events of each station",
            """
            CREATE TABLE station_security (
                station TEXT NOT NULL, is_alarming BIGINT NOT NULL, number BIGINT NOT NULL,
                type TEXT NOT NULL, at BIGINT NOT NULL, received_at BIGINT NOT NULL,
                PRIMARY KEY (station, is_alarming, number));
            CREATE UNIQUE INDEX station_security_event ON station_security(station, type, at);
            CREATE INDEX station_security_alarm ON station_security(is_alarming, received_at);
            """),
        Migration(
            41, "answers that told a password go; charges without a place; commands with a time",
            """
            UPDATE command SET answer = '(not kept: it names a password)', effect = NULL
            WHERE name IN ('getSettings', 'foreign') AND (LOWER(answer) LIKE '%authorizationkey%'
            OR LOWER(answer) LIKE '%password%');
            CREATE INDEX session_homeless ON session(started_at) WHERE location = station;
            ALTER TABLE command ADD COLUMN not_before BIGINT;
            """),
    ]
}
