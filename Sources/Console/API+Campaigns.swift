import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension Console {
    var campaignRoutes: [APIRoute] {
        guard let source = connections.files?.source else { return [] }
        return [
            APIRoute(
                method: "GET", path: "/campaigns", need: .role(.viewer),
                summary: "Firmware campaigns, newest first", query: [.limit],
                handler: campaignPage),
            APIRoute(
                method: "POST", path: "/campaigns", need: .role(.operator),
                summary:
                    "Sends an image to many stations, wave by wave; to more than 50 an admin alone",
                body: """
                    {"name", "image", "stations"? [ids], "vendor"?, "model"?, "firmware"? (that they \
                    run now), "location"?, "waves"? [1, 5, 25] (the last is repeated), \
                    "pauseAfterFailures"? 1, "tries"? 2, "retryMinutes"? 30, "deadlineMinutes"? 120, \
                    "waitHours"? 168 (then it goes on without who is away or in use), "signed"?, "anyModel"? (although the image is another model's)}
                    """
            ) { try await self.makeCampaign($0, source) },
            APIRoute(
                method: "GET", path: "/campaigns/{id}", need: .role(.viewer),
                summary: "A campaign with every station, and why it waits for which",
                handler: campaign),
            APIRoute(
                method: "POST", path: "/campaigns/{id}/{act}", need: .role(.operator),
                summary:
                    "pause, resume, cancel, skip a station, or rollback: the former image to all it changed",
                body: """
                    {"station" (skip: one that waits), "image"? (rollback: instead of the one they \
                    ran before), "anyModel"? (rollback: although the image is another model's)}
                    """
            ) { try await self.changeCampaign($0, source) },
        ]
    }

    private func campaignPage(_ request: APIRequest) async throws -> HTTPResponse {
        var items: [JSONValue] = []
        for record in try await house.campaigns.list(limit: try request.limit()) {
            var value = Shape.campaign(record).object ?? [:]
            value["counts"] = .object(
                try await house.campaigns.counts(of: record.id).mapValues { .number($0) })
            items.append(.object(value))
        }
        return .page(items, next: nil)
    }

    private func campaign(_ request: APIRequest) async throws -> HTTPResponse {
        let id = request[parameter: "id"]
        guard let record = try await house.campaigns.campaign(id) else {
            throw APIProblem.notFound("campaign", id)
        }
        return .json(try await shown(record))
    }

    private func shown(_ record: Campaigns.Record) async throws -> JSONValue {
        Shape.wholeCampaign(
            record,
            waits: try await house.campaigns.waits(of: record, in: house, at: house.clock.now))
    }

    private func makeCampaign(
        _ request: APIRequest, _ source: any FirmwareSource
    ) async throws -> HTTPResponse {
        let body = try request.object(only: CampaignBody.members)
        guard let name = try Self.text(body, "name", 1...100) else {
            throw APIProblem.field("name", "has 1 to 100 characters")
        }
        guard let image = body["image"]?.string else {
            throw APIProblem.field("image", "must be the id of an image")
        }
        let selection = try Self.selection(body)
        let now = house.clock.now
        let record = try await house.write { transaction in
            guard let image = try source.image(image, in: transaction) else {
                throw APIProblem.field("image", "is no image that is here whole")
            }
            var selection = selection
            // An image for one model is never sent to another by leaving a word out.
            let anyModel = try body.flag("anyModel") == true
            if !anyModel {
                selection.vendor = selection.vendor ?? image.vendor
                selection.model = selection.model ?? image.model
            }
            let plan = try Self.plan(body, name: name, image)
            let record = try Self.refusing {
                try self.house.campaigns.make(
                    plan, image, selection, anyModel: anyModel, in: self.house,
                    by: request.caller.name, at: now, transaction: transaction)
            }
            try request.caller.mayReach(record.machine.members.count)
            try self.audit.note(
                request.caller, "campaign.make", record.id,
                ["image": .string(image.id), "stations": .number(record.machine.members.count)],
                in: transaction)
            return record
        }
        return .json(
            try await shown(record), status: 201,
            headers: ["Location": "/api/v1/campaigns/\(record.id)"])
    }

    private static func selection(_ body: JSONValue) throws(APIProblem) -> CampaignSelection {
        var selection = CampaignSelection()
        selection.vendor = try text(body, "vendor", 1...50)
        selection.model = try text(body, "model", 1...50)
        selection.firmware = try text(body, "firmware", 1...50)
        selection.location = try text(body, "location", 1...36)
        if let list = body["stations"], !list.isNull {
            guard let ids = list.array?.compactMap(\.string), ids.count == list.array?.count,
                !ids.isEmpty, ids.count <= CampaignPlan.mostStations
            else { throw .field("stations", "must be a list of station ids") }
            selection.stations = ids
        }
        guard !selection.isEmpty else {
            throw .field(
                "stations", "or vendor, model, firmware or location must say which are meant")
        }
        return selection
    }

    private static func plan(
        _ body: JSONValue, name: String, _ image: FirmwareImage
    ) throws(APIProblem) -> CampaignPlan {
        let isSigned = try body.flag("signed")
        if isSigned == true, !image.isSigned {
            throw .field("signed", "needs an image with certificate and signature")
        }
        var plan = CampaignPlan(name: name, image: image, isSigned: isSigned)
        func number(
            _ key: String, _ range: ClosedRange<Int>, _ fallback: Int
        ) throws(APIProblem) -> Int {
            guard let value = body[key], !value.isNull else { return fallback }
            guard let number = value.int, range.contains(number) else {
                throw .field(key, "must be from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        if let waves = body["waves"], !waves.isNull {
            let sizes = waves.array?.compactMap(\.int) ?? []
            guard (1...20).contains(sizes.count), sizes.count == waves.array?.count,
                sizes.allSatisfy(CampaignPlan.waveSizes.contains)
            else { throw .field("waves", "must be 1 to 20 sizes from 1 to 1000") }
            plan.waves = sizes
        }
        plan.pauseAfterFailures = try number("pauseAfterFailures", 1...10_000, 1)
        plan.tries = try number("tries", 1...5, plan.tries)
        plan.retryMinutes = try number("retryMinutes", 1...1440, plan.retryMinutes)
        plan.deadlineMinutes = try number("deadlineMinutes", 5...2880, plan.deadlineMinutes)
        plan.waitHours = try number("waitHours", 1...2160, plan.waitHours)
        return plan
    }

    private func changeCampaign(
        _ request: APIRequest, _ source: any FirmwareSource
    ) async throws -> HTTPResponse {
        let (id, act) = (request[parameter: "id"], request[parameter: "act"])
        let body = try request.optionalObject(only: CampaignBody.members(of: act))
        let input = try Self.input(act, body)
        guard act == "rollback" || input != nil else { throw APIProblem(404, "not found") }
        let now = house.clock.now
        let record = try await house.write { transaction in
            let record = try Self.refusing {
                if let input {
                    return try self.house.campaigns.handle(input, id, at: now, in: transaction)
                }
                var image: FirmwareImage?
                if let wanted = try Self.text(body, "image", 1...100) {
                    image = try source.image(wanted, in: transaction)
                    if image == nil {
                        throw APIProblem.field("image", "is no image that is here whole")
                    }
                }
                return try self.house.campaigns.rollback(
                    id, image: image, anyModel: try body.flag("anyModel") == true, in: self.house,
                    source: source, by: request.caller.name, at: now, transaction: transaction)
            }
            if let record {
                // Anybody who may order one at all may stop it. Without a station it goes on to others.
                if ["resume", "rollback", "skip"].contains(act) {
                    try request.caller.mayReach(record.machine.members.count)
                }
                try self.audit.note(
                    request.caller, "campaign.\(act)", id,
                    act == "skip" ? ["station": body["station"] ?? .null] : [:], in: transaction)
            }
            return record
        }
        guard let record else { throw APIProblem.notFound("campaign", id) }
        return .json(try await shown(record), status: act == "rollback" ? 201 : 200)
    }

    private static func input(
        _ act: String, _ body: JSONValue
    ) throws(APIProblem) -> CampaignMachine.Input? {
        switch act {
        case "pause": return .pause
        case "resume": return .resume
        case "cancel": return .cancel
        case "skip":
            guard let station = body["station"]?.string else {
                throw .field("station", "must be the id of a station that waits")
            }
            return .skip(station)
        default: return nil
        }
    }

    private static func refusing<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let refusal as Campaigns.Refusal {
            throw APIProblem(refusal)
        }
    }
}

extension APIProblem {
    init(_ refusal: Campaigns.Refusal) {
        switch refusal {
        case .unknownImage: self = .field("image", "is no image that is here whole")
        case .noStation:
            self = .field("stations", "fits no station; check vendor, model, firmware, location")
        case .tooManyStations(let count):
            self = .field("stations", "fits \(count), and \(CampaignPlan.mostStations) is the most")
        case .unknownStation(let id):
            self = .field("stations", "names \(id), which is not accepted")
        case .tooManyCampaigns:
            self.init(
                409, "too many campaigns", detail: "\(Campaigns.mostOpen) are open; end one first")
        case .busyStation(let id, let campaign):
            self.init(
                409, "in another campaign",
                detail: "\(id) stands in campaign \(campaign), which is not over", field: "stations"
            )
        case .otherModel(let id):
            self = .field(
                "image", "is labelled for another vendor or model than \(id)'s; see anyModel")
        case .noMember(let id): self = .field("station", "is \(id), which is not in it")
        case .notWaiting(let id, let state):
            self.init(
                409, "not possible now",
                detail: "\(id) is \(state.rawValue); only who waits can be left out",
                field: "station")
        case .notRunning(let state):
            self.init(409, "not possible now", detail: "the campaign is \(state.rawValue)")
        case .nothingToTakeBack:
            self.init(409, "nothing to take back", detail: "no station was sent the image")
        case .noFormerImage:
            self.init(
                409, "which image?", detail: "the former version is not one image here; name it",
                field: "image")
        }
    }
}

extension Shape {
    static func campaign(_ record: Campaigns.Record) -> JSONValue {
        let plan = record.machine.plan
        return .members([
            "id": .string(record.id), "name": .string(plan.name), "image": .string(plan.image),
            "version": plan.version.map { .string($0) },
            "state": .string(record.machine.state.rawValue),
            "reason": record.reason.map { .string($0) }, "signed": .bool(plan.isSigned),
            "waves": .array(plan.waves.map { .number($0) }),
            "pauseAfterFailures": .number(plan.pauseAfterFailures), "tries": .number(plan.tries),
            "retryMinutes": .number(plan.retryMinutes),
            "deadlineMinutes": .number(plan.deadlineMinutes),
            "waitHours": .number(plan.waitHours),
            "rollbackOf": plan.rollbackOf.map { .string($0) }, "by": .string(record.madeBy),
            "createdAt": .time(record.createdAt), "changedAt": .time(record.changedAt),
        ])
    }

    static func wholeCampaign(
        _ record: Campaigns.Record, waits: [String: CampaignMachine.Wait]
    ) -> JSONValue {
        var value = campaign(record).object ?? [:]
        value["stations"] = .array(
            record.machine.members.map { member in
                .members([
                    "station": .string(member.station), "wave": .number(member.wave + 1),
                    "state": .string(member.state.rawValue), "tries": .number(member.tries),
                    "command": member.command.map { .string($0) },
                    "orderedAt": member.orderedAt.map { .time($0) },
                    "retryAt": member.retryAt.map { .time($0) },
                    "waitsFor": waits[member.station].map { .string($0.rawValue) },
                    "waitsSince": member.waitSince.map { .time($0) },
                    "changedAt": .time(member.changedAt),
                    "formerFirmware": member.formerFirmware.map { .string($0) },
                    "note": member.note.map { .string($0) },
                ])
            })
        return .object(value)
    }
}
