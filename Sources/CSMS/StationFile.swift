import CPO
import Charging
import JSON
import SQL

/// A file the house keeps: an image that stations fetch, or a log that one sent.
///
/// Its place on the disk is its id. Names are for people only and never part of a path.
package struct StationFile: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable { case firmware, log }

    /// What the operator says of a new image, or what a log was asked for.
    package struct Label: Hashable, Sendable {
        package var name: String
        /// nil: for any.
        package var vendor: String?
        package var model: String?
        /// What a station that runs it tells at its boot; nil: nobody knows.
        package var version: String?
        /// PEM and base64, where the maker signed it. Security white paper §5.1.
        package var certificate: String?
        package var signature: String?
        /// What the bytes must hash to, lower-case hexadecimal; nil: whatever comes.
        package var sha256: String?

        package init(name: String) { self.name = name }
    }

    package static let nameCharacters = 1...100

    /// UUID.
    package var id: String
    package var kind: Kind
    /// Of a log: whose.
    package var station: String?
    package var label: Label
    /// nil until it is here whole.
    package var size: Int64?
    package var sha256: String?
    package var createdAt: Timestamp
    package var storedAt: Timestamp?
    package var madeBy: String
    /// The command that asked for it.
    package var command: String?

    package var isWhole: Bool { storedAt != nil }

    /// As the admin API shows it.
    package var shown: JSONValue {
        .members([
            "id": .string(id), "kind": .string(kind.rawValue),
            "station": station.map { .string($0) }, "name": .string(label.name),
            "vendor": label.vendor.map { .string($0) }, "model": label.model.map { .string($0) },
            "version": label.version.map { .string($0) },
            "signed": .bool(label.signature != nil), "complete": .bool(isWhole),
            "size": size.map { .number($0) }, "sha256": sha256.map { .string($0) },
            "createdAt": .time(createdAt), "storedAt": storedAt.map { .time($0) },
            "by": .string(madeBy), "command": command.map { .string($0) },
        ])
    }

    /// A name that can stand in a header or URL and on any disk: ASCII letters, digits, `.-_`.
    package static func plain(_ name: String) -> String {
        let letters = name.unicodeScalars.prefix(nameCharacters.upperBound).map { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": Character(scalar)
            default: Character("_")
            }
        }
        // No file is hidden, and none climbs.
        let shown = String(letters.drop { $0 == "." })
        return shown.isEmpty ? "file" : shown
    }
}

// MARK: Rows

extension StationFile {
    init(row: Row) throws {
        id = try row.text("id")
        kind = Kind(rawValue: try row.text("kind")) ?? .log
        station = try row.textOrNil("station")
        label = Label(name: try row.text("name"))
        label.vendor = try row.textOrNil("vendor")
        label.model = try row.textOrNil("model")
        label.version = try row.textOrNil("version")
        label.certificate = try row.textOrNil("certificate")
        label.signature = try row.textOrNil("signature")
        label.sha256 = try row.textOrNil("wanted_sha256")
        size = try row.int64OrNil("size")
        sha256 = try row.textOrNil("sha256")
        createdAt = try row.timestamp("created_at")
        storedAt = try row.timestampOrNil("stored_at")
        madeBy = try row.text("made_by")
        command = try row.textOrNil("command")
    }

    static func stored(_ id: String, in transaction: Transaction) throws -> StationFile? {
        try transaction.queryOne("SELECT * FROM csms_file WHERE id = ?", id)
            .map(StationFile.init(row:))
    }

    func insert(in transaction: Transaction) throws {
        try transaction.execute(
            """
            INSERT INTO csms_file (id, kind, station, name, vendor, model, version, certificate,
            signature, wanted_sha256, created_at, made_by, command)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """, id, kind.rawValue, station, label.name, label.vendor, label.model, label.version,
            label.certificate, label.signature, label.sha256, createdAt, madeBy, command)
    }
}
