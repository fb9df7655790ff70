import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    /// Stations that one apply reaches; the rest is for the next.
    private static let stationsAnApply = 500

    var templateRoutes: [APIRoute] {
        [
            APIRoute(
                method: "GET", path: "/templates", need: .role(.viewer),
                summary: "What the settings of a model are to be, by id"
            ) { _ in
                .page(try await self.house.templates.list().map(Shape.template), next: nil)
            },
            APIRoute(
                method: "GET", path: "/templates/{id}", need: .role(.viewer),
                summary: "A template, and how far each of its stations is from it",
                handler: template),
            APIRoute(
                method: "PUT", path: "/templates/{id}", need: .role(.operator),
                summary: "Says what the settings of a model are to be; nothing is sent by it",
                body: "{\"vendor\", \"model\", \"settings\": [{\"key\", \"value\"}]}",
                handler: putTemplate),
            APIRoute(
                method: "DELETE", path: "/templates/{id}", need: .role(.operator),
                summary: "Forgets a template; stations stay as they are", handler: deleteTemplate),
            APIRoute(
                method: "POST", path: "/templates/{id}/apply", need: .role(.operator),
                summary: """
                    Sends what differs to every station of the model that is online; to more than 50 \
                    an admin alone
                    """,
                handler: applyTemplate),
            APIRoute(
                method: "GET", path: "/stations/{id}/settings", need: .role(.viewer),
                summary: "A station's settings beside its template's", handler: drift),
            APIRoute(
                method: "POST", path: "/stations/{id}/settings/{act}", need: .role(.operator),
                summary: "read: asks the station again; apply: sends what differs",
                handler: changeSettings),
        ]
    }

    private func template(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let found = try await house.read { transaction -> JSONValue? in
            guard let template = try self.house.templates.template(id, in: transaction) else {
                return nil
            }
            var value = Shape.template(template).object ?? [:]
            value["stations"] = .array(
                try self.house.templates.stations(of: template, in: transaction).map {
                    let counts = $0.counts.map { ($0.key.rawValue, JSONValue.number($0.value)) }
                    return [
                        "station": .string($0.station.id), "online": .bool($0.station.isOnline),
                        "counts": .object(
                            Dictionary(counts, uniquingKeysWith: { first, _ in first })),
                    ]
                })
            return .object(value)
        }
        guard let found else { throw APIProblem.notFound("template", id) }
        return .json(found)
    }

    private func putTemplate(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        // `id`, `changedAt` and `stations` stand in an answer.
        let body = try request.object(only: [
            "vendor", "model", "settings", "id", "changedAt", "stations",
        ])
        guard (1...50).contains(id.unicodeScalars.count) else {
            throw APIProblem.field("id", "has 1 to 50 characters")
        }
        guard let vendor = try Self.text(body, "vendor", 1...50),
            let model = try Self.text(body, "model", 1...50)
        else { throw APIProblem.field("vendor", "and `model` say whose settings these are") }
        let now = house.clock.now
        let template = SettingTemplate(
            id: id, vendor: vendor, model: model, settings: try Self.settings(body), changedAt: now)
        try await house.write { transaction in
            if let other = try self.house.templates.put(template, at: now, in: transaction) {
                throw APIProblem(
                    409, "one template a model", detail: "\(other) is for this model already",
                    field: "model")
            }
            try self.audit.note(request.caller, "template.put", id, in: transaction)
        }
        return .json(Shape.template(template))
    }

    private static func settings(_ body: JSONValue) throws(APIProblem) -> [SettingTemplate.Setting]
    {
        guard let list = body["settings"]?.array,
            SettingTemplate.settingCounts.contains(list.count)
        else { throw .field("settings", "must be 1 to 200 of {\"key\", \"value\"}") }
        var seen: Set<String> = []
        var settings: [SettingTemplate.Setting] = []
        for (index, one) in list.enumerated() {
            try one.refuseStrangers(["key", "value"], at: "settings[\(index)]")
            guard let key = one["key"]?.string,
                SettingTemplate.keyCharacters.contains(key.unicodeScalars.count)
            else { throw .field("settings[\(index)].key", "has 1 to 50 characters") }
            guard let value = one["value"]?.string,
                value.unicodeScalars.count <= SettingTemplate.valueCharacters
            else { throw .field("settings[\(index)].value", "is a text of at most 500 characters") }
            guard !SettingTemplate.forbiddenKeys.contains(key.lowercased()) else {
                throw .field(
                    "settings[\(index)].key",
                    "\(key) is changed at the station's access, where a mistake locks nobody out")
            }
            guard seen.insert(key.lowercased()).inserted else {
                throw .field("settings[\(index)].key", "\(key) stands there twice")
            }
            settings.append(.init(key: key, value: value))
        }
        return settings
    }

    private func deleteTemplate(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let now = house.clock.now
        let found = try await house.write { transaction in
            try self.audit.note(request.caller, "template.delete", id, in: transaction)
            return try self.house.templates.remove(id, at: now, in: transaction)
        }
        guard found else { throw APIProblem.notFound("template", id) }
        return .noContent
    }

    private func applyTemplate(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        let now = house.clock.now
        let origin = origin(request.caller)
        let sent = try await house.write { transaction -> [JSONValue]? in
            guard let template = try self.house.templates.template(id, in: transaction) else {
                return nil
            }
            try self.audit.note(
                request.caller, "template.apply", id, status: 202, in: transaction)
            var sent: [JSONValue] = []
            for (station, counts) in try self.house.templates.stations(
                of: template, in: transaction)
            where station.isOnline && counts[.differs] != nil && sent.count < Self.stationsAnApply {
                let commands = try self.house.templates.apply(
                    station.id, in: self.house, origin: origin, at: now, transaction: transaction)
                sent.append([
                    "station": .string(station.id), "settings": .number(commands.count),
                ])
            }
            try request.caller.mayReach(sent.count)
            return sent
        }
        guard let sent else { throw APIProblem.notFound("template", id) }
        return .json(["stations": .array(sent)], status: 202)
    }

    private func drift(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard try await house.stations.station(id) != nil else {
            throw APIProblem.notFound("station", id)
        }
        let found = try await house.templates.drift(of: id, in: house)
        return .json([
            "station": .string(id),
            "template": found.map { .string($0.template.id) } ?? .null,
            "settings": .array((found?.settings ?? []).map(Shape.drift)),
        ])
    }

    private func changeSettings(_ request: APIRequest) async throws -> HTTPResponse {
        let (id, act) = (request[parameter: "id"], request[parameter: "act"])
        guard act == "read" || act == "apply" else { throw APIProblem(404, "not found") }
        let now = house.clock.now
        let origin = origin(request.caller)
        let commands = try await house.write { transaction in
            let templates = self.house.templates
            let commands =
                act == "read"
                ? try templates.read(
                    id, in: self.house, origin: origin, at: now, transaction: transaction)
                : try templates.apply(
                    id, in: self.house, origin: origin, at: now, transaction: transaction)
            try self.audit.note(
                request.caller, "station.settings.\(act)", id,
                ["commands": .number(commands.count)], status: 202, in: transaction)
            return commands
        }
        return .json(["commands": .array(commands.map(Shape.command))], status: 202)
    }
}

extension Shape {
    static func template(_ template: SettingTemplate) -> JSONValue {
        [
            "id": .string(template.id), "vendor": .string(template.vendor),
            "model": .string(template.model), "changedAt": .time(template.changedAt),
            "settings": .array(
                template.settings.map { ["key": .string($0.key), "value": .string($0.value)] }),
        ]
    }

    static func drift(_ drift: SettingDrift) -> JSONValue {
        .members([
            "key": .string(drift.key), "wanted": .string(drift.wanted),
            "found": drift.found.map { .string($0) }, "state": .string(drift.state.rawValue),
            "readonly": .bool(drift.isReadOnly), "readAt": drift.readAt.map { .time($0) },
            "answer": drift.answer.map { .string($0) },
            "answeredAt": drift.answeredAt.map { .time($0) },
        ])
    }
}
