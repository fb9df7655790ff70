import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console.Connections {
    /// What is known of an image before it comes.
    package struct ImageLabel: Sendable {
        package var name: String
        package var vendor: String?
        package var model: String?
        package var version: String?
        package var certificate: String?
        package var signature: String?
        package var sha256: String?
    }

    /// The files' lines to the door that has them.
    package struct FileLines: Sendable {
        package typealias Note = @Sendable (_ id: String, Transaction) throws -> Void

        package init(
            list:
                @escaping @Sendable (_ isFirmware: Bool, _ station: String?) async throws ->
                [JSONValue],
            invite:
                @escaping @Sendable (ImageLabel, _ who: String, @escaping Note) async throws ->
                JSONValue,
            content: @escaping @Sendable (_ id: String, HTTPRequest) async throws -> HTTPResponse?,
            remove: @escaping @Sendable (_ id: String, @escaping Note) async throws -> Bool,
            orderLog:
                @escaping @Sendable (LogWish, _ station: String, CommandOrigin) async throws
                -> Command,
            source: any FirmwareSource
        ) {
            self.list = list
            self.invite = invite
            self.content = content
            self.remove = remove
            self.orderLog = orderLog
            self.source = source
        }

        var list: @Sendable (_ isFirmware: Bool, _ station: String?) async throws -> [JSONValue]
        var invite: @Sendable (ImageLabel, _ who: String, @escaping Note) async throws -> JSONValue
        var content: @Sendable (_ id: String, HTTPRequest) async throws -> HTTPResponse?
        /// Throws `BadValue` while it is needed.
        var remove: @Sendable (_ id: String, @escaping Note) async throws -> Bool
        var orderLog: @Sendable (LogWish, _ station: String, CommandOrigin) async throws -> Command
        var source: any FirmwareSource
    }

    package struct LogWish: Sendable {
        package var kind: LogKind
        /// GetLog instead of GetDiagnostics.
        package var isExtended: Bool
        package var from: Timestamp?
        package var until: Timestamp?
    }

    package struct CertificateLines: Sendable {
        package init(
            list: @escaping @Sendable (_ station: String) async throws -> [JSONValue],
            revoke:
                @escaping @Sendable (
                    _ fingerprint: String, _ station: String,
                    @escaping @Sendable (Transaction) throws -> Void
                ) async throws -> Bool
        ) {
            self.list = list
            self.revoke = revoke
        }

        var list: @Sendable (_ station: String) async throws -> [JSONValue]
        /// Throws nothing of its own; false when there is none that still counts.
        var revoke:
            @Sendable (
                _ fingerprint: String, _ station: String,
                @escaping @Sendable (Transaction) throws -> Void
            ) async throws -> Bool
    }
}

extension Console {
    var fileRoutes: [APIRoute] {
        guard let files = connections.files else { return [] }
        return [
            APIRoute(
                method: "GET", path: "/firmware", need: .role(.viewer),
                summary: "Images that stations can be sent, newest first"
            ) { _ in .page(try await files.list(true, nil), next: nil) },
            APIRoute(
                method: "POST", path: "/firmware", need: .role(.operator),
                summary:
                    "Announces an image; the answer has the address that takes its bytes by PUT",
                body: """
                    {"name", "vendor"?, "model"?, "version"? (as its stations tell it at their boot), \
                    "sha256"?, "certificate"? and "signature"? (PEM and base64, where the maker signed it)}
                    """
            ) { try await self.announce($0, files) },
            APIRoute(
                method: "GET", path: "/stations/{id}/files", need: .role(.viewer),
                summary: "What a station uploaded, newest first"
            ) { .page(try await files.list(false, $0[parameter: "id"]), next: nil) },
            APIRoute(
                method: "POST", path: "/stations/{id}/logs", need: .role(.operator),
                summary: "Has a station upload a log to here; a command, like any other",
                body: """
                    {"kind"? ("DiagnosticsLog", "SecurityLog"), "extended"? (true: GetLog; false, as \
                    where it is left out for diagnostics: GetDiagnostics), "from"?, "until"?}
                    """
            ) { try await self.orderLog($0, files) },
            APIRoute(
                method: "GET", path: "/files/{id}/content", need: .role(.operator),
                summary: "The bytes of an image or log; one range may be asked for"
            ) { request in
                let id = request[parameter: "id"]
                guard let answer = try await files.content(id, request.http) else {
                    throw APIProblem.notFound("file", id)
                }
                return answer
            },
            APIRoute(
                method: "DELETE", path: "/files/{id}", need: .role(.operator),
                summary: "Deletes an image or log, and every address of it"
            ) { try await self.removeFile($0, files) },
        ]
    }

    private func announce(
        _ request: APIRequest, _ files: Connections.FileLines
    ) async throws -> HTTPResponse {
        let body = try request.object(only: [
            "name", "vendor", "model", "version", "sha256", "certificate", "signature",
        ])
        var label = Connections.ImageLabel(name: try Self.text(body, "name", 1...100) ?? "")
        guard !label.name.isEmpty else { throw APIProblem.field("name", "has 1 to 100 characters") }
        label.vendor = try Self.text(body, "vendor", 1...50)
        label.model = try Self.text(body, "model", 1...50)
        label.version = try Self.text(body, "version", 1...50)
        label.certificate = try Self.text(body, "certificate", 1...5500)
        label.signature = try Self.text(body, "signature", 1...800)
        label.sha256 = try Self.text(body, "sha256", 64...64)?.lowercased()
        if let hash = label.sha256, !hash.allSatisfy(\.isHexDigit) {
            throw APIProblem.field("sha256", "must be 64 hexadecimal digits")
        }
        guard (label.certificate == nil) == (label.signature == nil) else {
            throw APIProblem.field("signature", "and `certificate` are given together")
        }
        let (caller, audit) = (request.caller, audit)
        let made = try await files.invite(label, caller.name) { id, transaction in
            try audit.note(caller, "firmware.announce", id, in: transaction)
        }
        return .json(made, status: 201, headers: ["Cache-Control": "no-store"])
    }

    static func text(
        _ body: JSONValue, _ key: String, _ count: ClosedRange<Int>
    ) throws(APIProblem) -> String? {
        guard let value = body[key], !value.isNull else { return nil }
        guard let text = value.string, count.contains(text.unicodeScalars.count) else {
            throw .field(
                key, "must be a text of \(count.lowerBound) to \(count.upperBound) characters")
        }
        return text
    }

    private func orderLog(
        _ request: APIRequest, _ files: Connections.FileLines
    ) async throws -> HTTPResponse {
        let body = try request.optionalObject(only: ["kind", "extended", "from", "until"])
        let id = request[parameter: "id"]
        guard
            let kind = LogKind(
                rawValue: body["kind"].map { $0.string ?? "" } ?? LogKind.diagnostics.rawValue)
        else { throw APIProblem.field("kind", "must be DiagnosticsLog or SecurityLog") }
        func moment(_ key: String) throws(APIProblem) -> Timestamp? {
            guard let value = body[key], !value.isNull else { return nil }
            guard let time = value.time else {
                throw .field(key, "must be a time like 2026-01-31T12:00:00Z")
            }
            return time
        }
        let wish = Connections.LogWish(
            kind: kind, isExtended: try body.flag("extended") ?? (kind == .security),
            from: try moment("from"), until: try moment("until"))
        guard wish.isExtended || kind == .diagnostics else {
            throw APIProblem.field("extended", "must be true for SecurityLog: only GetLog knows it")
        }
        let command = try await files.orderLog(wish, id, origin(request.caller))
        try await house.write { transaction in
            try self.audit.note(
                request.caller, "command.sendLog", command.station,
                ["command": .string(command.id)], status: 202, in: transaction)
        }
        return .json(
            Shape.command(command), status: 202,
            headers: ["Location": "/api/v1/commands/\(command.id)"])
    }

    func origin(_ caller: Caller) -> CommandOrigin {
        CommandOrigin(door: caller.csrf == nil ? "api" : "console", reference: caller.name)
    }

    private func removeFile(
        _ request: APIRequest, _ files: Connections.FileLines
    ) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let (caller, audit) = (request.caller, audit)
        let found = try await files.remove(id) { id, transaction in
            try audit.note(caller, "file.delete", id, in: transaction)
        }
        guard found else { throw APIProblem.notFound("file", id) }
        return .noContent
    }

    // MARK: Certificates

    var certificateRoutes: [APIRoute] {
        let lines = connections.certificates
        let list = APIRoute(
            method: "GET", path: "/stations/{id}/certificates", need: .role(.viewer),
            summary: "Certificates that were made here for a station, newest first"
        ) { .page(try await lines?.list($0[parameter: "id"]) ?? [], next: nil) }
        guard let lines else { return [list] }
        return [
            list,
            APIRoute(
                method: "DELETE", path: "/stations/{id}/certificates/{fingerprint}",
                need: .role(.operator),
                summary: "Revokes a certificate: no connection is made with it any more"
            ) { request in
                let (id, fingerprint) = (
                    request[parameter: "id"], request[parameter: "fingerprint"]
                )
                let (caller, audit) = (request.caller, self.audit)
                let found = try await lines.revoke(fingerprint, id) { transaction in
                    try audit.note(
                        caller, "certificate.revoke", id, ["fingerprint": .string(fingerprint)],
                        in: transaction)
                }
                guard found else { throw APIProblem.notFound("certificate", fingerprint) }
                return .noContent
            },
        ]
    }
}
