import CPO
import Charging
import JSON
import SQL
import Service
import Web

extension BecknDoor {
    /// Verifies, takes in and acknowledges one request.
    func answer(_ request: HTTPRequest) async -> HTTPResponse {
        guard let action = BecknAction(rawValue: request[parameter: "action"]) else {
            return nack(404, BecknError(.notImplemented, "no such action"))
        }
        guard request.body.count <= WireLimits.bodyBytes else {
            return nack(413, .field("$", "larger than \(WireLimits.bodyBytes) bytes"))
        }
        let now = clock.now
        do {
            let signature = try signature(of: request, now: now)
            let json = try parse(request.body)
            let context = try BecknContext(
                of: json, action: action, settings: settings, now: now)
            let gateway = try gatewaySignature(of: request, now: now)
            guard signature.subscriberID == context.bapID else {
                throw BecknSignature.Flaw.notTheSender
            }
            guard
                registry.mayCall(
                    context.bapURI, of: context.bapID, allowsPlain: settings.allowsPlainCallbacks)
            else {
                throw BecknError.field(
                    "$.context.bap_uri", "not the address registered for \(context.bapID)")
            }
            let parsed = try BecknRequest(action, json, settings: settings)
            try await take(parsed, action, context, viaGateway: gateway != nil, now)
            outbox.wake()
            return .json(["message": ["ack": ["status": "ACK"]]])
        } catch let flaw as BecknSignature.Flaw {
            return refused(flaw)
        } catch let error as BecknError {
            return nack(400, error)
        } catch {
            log.error("beckn request not stored", ["error": LogError(error)])
            return nack(503, BecknError(.business, "not now, try again"))
        }
    }

    private func parse(_ body: [UInt8]) throws(BecknError) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: body, limits: WireLimits.json)
        } catch {
            throw .field(error.path, error.description)
        }
    }

    private func signature(
        of request: HTTPRequest, now: Timestamp
    ) throws(BecknSignature.Flaw) -> BecknSignature {
        let signature = try BecknSignature(header: request.headers["Authorization"])
        try signature.verify(body: request.body, registry: registry, now: now)
        return signature
    }

    /// A gateway signs beside the BAP, under either of two header names. Facts §11.
    private func gatewaySignature(
        of request: HTTPRequest, now: Timestamp
    ) throws(BecknSignature.Flaw) -> BecknSignature? {
        guard
            let header = request.headers["X-Gateway-Authorization"]
                ?? request.headers["Proxy-Authorization"]
        else { return nil }
        let signature = try BecknSignature(header: header)
        guard registry.isGateway(signature.subscriberID) else { throw .unknownKey }
        try signature.verify(body: request.body, registry: registry, now: now)
        return signature
    }

    private func nack(_ status: Int, _ error: BecknError) -> HTTPResponse {
        .json(
            ["error": error.json, "message": ["ack": ["status": "NACK"]]], status: status)
    }

    private func refused(_ flaw: BecknSignature.Flaw) -> HTTPResponse {
        let challenge =
            #"Signature realm="\#(settings.subscriberID)",headers="(created) (expires) digest""#
        return .json(
            [
                "error": BecknError(.invalidRequest, flaw.description).json,
                "message": ["ack": ["status": "NACK"]],
            ], status: 401, headers: ["WWW-Authenticate": challenge])
    }

    // MARK: Taking in

    /// One transaction: the request is remembered, the order moved, the answer put into the outbox.
    private func take(
        _ request: BecknRequest, _ action: BecknAction, _ context: BecknContext, viaGateway: Bool,
        _ now: Timestamp
    ) async throws {
        // Searched before the transaction, so that no catalogue is written on the writer's thread.
        let found = search(request, viaGateway: viaGateway, now)
        try await house.write { transaction in
            guard try self.store.isFirst(action, context, at: now, in: transaction) else { return }
            switch request {
            case .search:
                guard let found else { return }
                try self.reply(.onSearch, context, found, now, transaction)
            case .reasons(let callback):
                try self.reply(callback, context, Self.reasons(callback), now, transaction)
            case .rating(let ratings): try self.rate(ratings, context, now, transaction)
            case .support(let reference, let text):
                try self.support(reference, text, context, now, transaction)
            case .track(let id): try self.track(id, context, now, transaction)
            case .select, .initialise, .confirm, .start, .end, .changeRefused, .status, .cancel:
                try self.move(request, action, context, now, transaction)
            }
        }
    }

    /// `message` of on_search; nil where silence is the answer: behind a gateway with nothing to offer.
    private func search(
        _ request: BecknRequest, viaGateway: Bool, _ now: Timestamp
    ) -> JSONValue? {
        guard case .search(let intent) = request else { return nil }
        let isOurs = intent.provider.map { $0 == settings.providerID } ?? true
        let catalogue = catalogue.withLock { $0 }
        var matches = isOurs ? catalogue.search(intent, limit: settings.searchLimit) : []
        for index in matches.indices { refresh(&matches[index]) }
        if matches.isEmpty, viaGateway { return nil }
        return CatalogueWriter(settings: settings).json(matches, now: now)
    }

    /// The journal brings statuses to the catalogue a moment late; what is shown is of this moment.
    private func refresh(_ match: inout Catalogue.Match) {
        for index in match.items.indices {
            guard let place = house.locations.evse(match.items[index].evse.uid) else { continue }
            match.items[index].evse.status = place.evse.status
            match.items[index].evse.lastUpdated = place.evse.lastUpdated
        }
    }

    /// Puts an answer with `message` into the outbox.
    func reply(
        _ callback: BecknCallback, _ context: BecknContext, _ message: JSONValue,
        _ now: Timestamp, _ transaction: Transaction
    ) throws {
        try post(callback, context, ["message": message], now, transaction)
    }

    func reply(
        _ callback: BecknCallback, _ context: BecknContext, error: BecknError, _ now: Timestamp,
        _ transaction: Transaction
    ) throws {
        var body: JSONValue = ["error": error.json]
        if callback.needsMessage { body["message"] = [:] }
        try post(callback, context, body, now, transaction)
    }

    func post(
        _ callback: BecknCallback, _ context: BecknContext, _ rest: JSONValue,
        _ now: Timestamp, _ transaction: Transaction, messageID: String? = nil
    ) throws {
        var body = rest
        body["context"] = context.callback(
            callback, settings: settings, now: now, messageID: messageID)
        try outbox.put(
            Outbox.Callback(
                subject: Self.subject(context),
                url: context.callbackURL(callback), bapID: context.bapID, action: callback,
                messageID: messageID ?? context.messageID, body: body),
            at: now, in: transaction)
    }
}
