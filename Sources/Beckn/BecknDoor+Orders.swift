import CPO
import Charging
import Crypto
import JSON
import SQL
import Service

extension BecknDoor {
    /// Moves the order a request means, or tells why not.
    func move(
        _ request: BecknRequest, _ action: BecknAction, _ context: BecknContext, _ now: Timestamp,
        _ transaction: Transaction
    ) throws {
        do {
            if case .select(let item, let quantity, let fulfilment) = request {
                return try select(item, quantity, fulfilment, context, now, transaction)
            }
            let (order, input) = try input(request, context, transaction)
            try apply(input, to: order, now, transaction)
        } catch let error as BecknError {
            try reply(action.callback, context, error: error, now, transaction)
        }
    }

    private func input(
        _ request: BecknRequest, _ context: BecknContext, _ transaction: Transaction
    ) throws -> (Order, OrderMachine.Input) {
        func found(_ id: String?) throws -> Order {
            guard let order = try store.order(id, context, in: transaction) else {
                throw BecknError(.orderUnknown, "no such order")
            }
            return order
        }
        switch request {
        case .initialise(let billing, let customer, let fulfilment):
            let order = try found(nil)
            return (
                order,
                .initialise(
                    billing: billing, customer: customer, fulfilment: fulfilment, context)
            )
        case .confirm(let claim):
            let order = try found(nil)
            // Between quote and confirm somebody else may have booked the same plug.
            if order.state == .initiated,
                try store.isHeld(
                    evse: order.offer.evseUID, besides: order.id, in: transaction)
            {
                throw BecknError(
                    .notAvailable, "booked by somebody else", symbol: "EVSE_UNAVAILABLE")
            }
            return (order, .confirm(claim, context))
        case .start(let id): return (try found(id), .start(context))
        case .end(let id): return (try found(id), .end(context))
        case .changeRefused(let id, let error):
            _ = try found(id)
            throw error
        case .status(let id): return (fresh(try found(id)), .status(context))
        case .cancel(let id, let reasonID, let reason):
            return (try found(id), .cancel(reasonID: reasonID, reason: reason, context))
        case .search, .select, .track, .rating, .support, .reasons:
            throw BecknError(.business, "not about an order")
        }
    }

    /// The order with the figures of this moment, where energy is flowing.
    func fresh(_ order: Order) -> Order {
        guard order.state == .charging || order.state == .stopping,
            let session = (order.delivery?.sessionID).flatMap({ house.sessions.running($0) })
        else { return order }
        var order = order
        order.delivery = delivery(of: session)
        return order
    }

    // MARK: Select

    private func select(
        _ itemID: String, _ quantity: Quantity?, _ fulfilment: String, _ context: BecknContext,
        _ now: Timestamp, _ transaction: Transaction
    ) throws {
        let known = try store.order(nil, context, in: transaction)
        let (offer, item, place) = try offer(itemID, now)
        let id = known?.id ?? UUID4.make()
        try checkAvailable(item, besides: id, transaction)
        let quantity =
            quantity ?? .energy(wattHours: settings.defaultEnergy.value)
        let quote = Quoter(settings: settings, digits: digits).quote(
            quantity, for: item, rules: localTime(of: place.timeZone), now: now, id: UUID4.make())
        guard let quote else {
            throw BecknError(.notAvailable, "no price is known, so it is not sold")
        }
        if let known {
            return try apply(
                .select(offer, quantity, quote, fulfilment: fulfilment, context), to: known, now,
                transaction)
        }
        let order = Order(
            id: id, context: context, offer: offer, quantity: quantity, quote: quote,
            fulfilmentID: fulfilment, now: now)
        try perform(
            [.answer(.onSelect, context, nil)], of: OrderMachine(order, rules: rules), now,
            transaction)
    }

    /// The item as it is sold now: status and tariff fresh from the house, not from the catalogue.
    private func offer(
        _ itemID: String, _ now: Timestamp
    ) throws(BecknError) -> (Order.Offer, Catalogue.Item, Location) {
        guard var item = catalogue.withLock({ $0.item(itemID) }),
            let place = house.locations.evse(item.evse.uid)
        else { throw BecknError(.itemUnknown, "no such item") }
        item.evse = place.evse
        item.tariff = house.tariffs.applicable(to: item.connector, at: now, for: .appUser)
        guard let tariff = item.tariff else {
            throw BecknError(.notAvailable, "no price is known, so it is not sold")
        }
        let offer = Order.Offer(
            itemID: itemID, evseUID: item.evse.uid, evseID: item.evse.evseID,
            connectorID: item.connector.id, standard: item.connector.standard,
            format: item.connector.format, powerType: item.connector.powerType,
            powerWatts: item.connector.maximumPower.value, locationID: place.location.id,
            locationName: place.location.name ?? place.location.address,
            address: CatalogueWriter.address(place.location),
            gps: CatalogueWriter.gps(place.location.coordinates), tariffID: tariff.id,
            energyPrice: item.energyPrice, currency: tariff.currency)
        return (offer, item, place.location)
    }

    private func checkAvailable(
        _ item: Catalogue.Item, besides order: String, _ transaction: Transaction
    ) throws {
        func unavailable(_ reason: String) -> BecknError {
            BecknError(.notAvailable, reason, symbol: "EVSE_UNAVAILABLE")
        }
        guard let station = item.evse.station, let connector = item.evse.stationConnector else {
            throw unavailable("not in service yet")
        }
        switch item.evse.status {
        case .blocked, .inoperative, .outOfOrder, .planned, .removed, .reserved, .unknown:
            throw unavailable("its status is \(item.evse.status.rawValue)")
        // Also while the car is plugged in and nothing charges yet: the walk-in path.
        case .available, .charging: break
        }
        if house.sessions.hasOpen(station: station, connector: connector) {
            throw unavailable("somebody is charging there")
        }
        if try store.isHeld(evse: item.evse.uid, besides: order, in: transaction) {
            throw unavailable("booked by somebody else")
        }
    }

    // MARK: Machine and effects

    /// Gives an order something that happened to it, if there is such an order.
    func handle(_ input: OrderMachine.Input, order id: String) async throws {
        let now = clock.now
        try await house.write { transaction in
            guard let order = try self.store.order(id: id, in: transaction) else { return }
            try self.apply(input, to: order, now, transaction)
        }
        outbox.wake()
    }

    func apply(
        _ input: OrderMachine.Input, to order: Order, _ now: Timestamp, _ transaction: Transaction
    ) throws {
        var machine = OrderMachine(order, rules: rules)
        let effects = machine.handle(input, at: now)
        guard machine.order != order || !effects.isEmpty else { return }
        // A running charge moves every second; its figures are read from the session when they are
        // needed, so only what changes the order is stored.
        if case .sessionUpdated = input, effects.isEmpty, machine.order.state == order.state {
            return
        }
        try perform(effects, of: machine, now, transaction)
    }

    /// Commands are tried first, because what they bring about at once belongs into the answers.
    private func perform(
        _ effects: [OrderMachine.Effect], of start: OrderMachine, _ now: Timestamp,
        _ transaction: Transaction
    ) throws {
        var machine = start
        var queue = effects
        var messages: [OrderMachine.Effect] = []
        while !queue.isEmpty {
            let effect = queue.removeFirst()
            switch effect {
            case .answer, .announce: messages.append(effect)
            case .refund(let refund):
                try store.refund(refund, of: machine.order, in: transaction)
            case .startCharging:
                if let reason = try startCharging(machine.order, now, transaction) {
                    queue += machine.handle(.startFailed(reason: reason), at: now)
                }
            case .stopCharging(let session):
                if let reason = try stopCharging(session, machine.order, now, transaction) {
                    queue += machine.handle(.stopFailed(reason: reason), at: now)
                }
            }
        }
        try store.store(machine.order, in: transaction)
        for message in messages { try send(message, machine.order, now, transaction) }
        try house.journal.append(
            "beckn.order", machine.order.id,
            [
                "bap": .string(machine.order.context.bapID),
                "state": .string(machine.order.state.rawValue),
            ], at: now, in: transaction)
    }

    private func send(
        _ effect: OrderMachine.Effect, _ order: Order, _ now: Timestamp, _ transaction: Transaction
    ) throws {
        switch effect {
        case .answer(let callback, let context, nil):
            try reply(
                callback, context, ["order": writer.json(order, now: now)], now, transaction)
        case .answer(let callback, let context, let error?):
            try reply(callback, context, error: error, now, transaction)
        case .announce(let callback):
            try post(
                callback, order.context, ["message": ["order": writer.json(order, now: now)]], now,
                transaction, messageID: UUID4.make())
        case .startCharging, .stopCharging, .refund: break
        }
    }

    /// nil when the command is on its way, else why not.
    private func startCharging(
        _ order: Order, _ now: Timestamp, _ transaction: Transaction
    ) throws -> String? {
        do {
            _ = try house.start(
                .evse(uid: order.offer.evseUID), token: token(for: order, now),
                authorizationReference: order.id, tariffID: order.offer.tariffID,
                origin: CommandOrigin(door: "beckn", reference: order.id), at: now,
                in: transaction)
            return nil
        } catch let refusal as CommandRefusal {
            return switch refusal {
            case .unknownStation, .unknownEVSE: "the charger is gone"
            case .occupied: "somebody is charging there"
            case .inoperative, .shared: "the charger is out of order"
            case .offline: "the charger cannot be reached"
            case .unknownSession, .sessionNotRunning: "no session"
            case .unknownReservation, .expired: "no reservation"
            }
        }
    }

    private func stopCharging(
        _ session: String, _ order: Order, _ now: Timestamp, _ transaction: Transaction
    ) throws -> String? {
        do {
            _ = try house.stop(
                session: session, origin: CommandOrigin(door: "beckn", reference: order.id),
                at: now, in: transaction)
            return nil
        } catch let refusal as CommandRefusal {
            return switch refusal {
            // It ends or has ended by itself; the journal brings the end.
            case .unknownSession, .sessionNotRunning: nil
            case .unknownReservation, .expired: nil
            case .offline: "the charger cannot be reached"
            case .unknownStation, .unknownEVSE, .occupied, .inoperative, .shared:
                "the charger is gone"
            }
        }
    }

    /// A driver we know only by his order: a token that is good for this one charge, under the
    /// contract of the apps' eMSP where there is one.
    private func token(for order: Order, _ now: Timestamp) -> Token {
        Token(
            party: settings.appParty ?? house.settings.party, uid: Self.tokenUID(of: order.id),
            kind: .appUser, contractID: order.id,
            issuer: String(order.context.bapID.prefix(64)), whitelist: .never, lastUpdated: now)
    }

    /// The part of an order's id that a station's tag has room for.
    static func tokenUID(of order: String) -> String {
        "BK\(order.filter { $0 != "-" }.prefix(18).uppercased())"
    }
}
