import Alerts
import Beckn
import CPO
import CSMS
import Charging
import Console
import JSON
import OCPI
import Service

/// What the console shows of the other doors: doors do not know each other, the roof knows them all.
extension Console.Connections {
    init(
        stations: CentralSystem, ocpi: OCPIDoor, beckn: BecknDoor?, alerts: Alerts, party: PartyID
    ) {
        self.init()
        location = { $0.ocpi221 }
        tariff = { $0.ocpi221 }
        token = { $0.ocpi221 }
        cdr = { $0.ocpi221(party: party) }
        readTariff = { value in
            try Self.read { () throws(WireError) in try Tariff(ocpi: value, version: .v221) }
        }
        readToken = { value in try Self.read { () throws(WireError) in try Token(ocpi: value) } }
        partners = { ocpi.peers.all().map(Self.partner) }
        invite = { name in
            let invitation = try await ocpi.invite(name)
            return [
                "token": .string(invitation.tokenA), "versionsURL": .string(invitation.versionsURL),
                "party": Self.partner(invitation.peer),
            ]
        }
        register = { name, url, token in
            do throws(OCPIDoor.DiscoveryError) {
                return Self.partner(
                    try await ocpi.register(name, versionsURL: url, tokenA: token))
            } catch { throw Console.BadValue(field: "versionsURL", detail: error.reason) }
        }
        rotate = { id in
            guard ocpi.peers.peer(id) != nil else { return false }
            do {
                try await ocpi.rotate(id)
            } catch let error as OCPIDoor.DiscoveryError {
                throw Console.BadValue(field: "id", detail: error.reason)
            }
            return true
        }
        dismiss = { id in
            guard ocpi.peers.peer(id) != nil else { return false }
            try await ocpi.leave(id)
            return true
        }
        connect(stations)
        self.alerts = { onlyOpen, before, limit in
            try await alerts.list(onlyOpen: onlyOpen, before: before, limit: limit).map(\.value)
        }
        acknowledgeAlert = { id, who, at, transaction in
            try alerts.acknowledge(id, by: who, at: at, in: transaction)
        }
        guard let beckn else { return }
        orders = { cursor, limit in try await beckn.orders(cursor: cursor, limit: limit) }
        order = { id in try await beckn.orderDetail(id) }
    }

    private static func read<Value>(
        _ body: () throws(WireError) -> Value
    ) throws(Console.BadValue) -> Value {
        do {
            return try body()
        } catch {
            throw Console.BadValue(field: error.path, detail: error.problem)
        }
    }

    private static func partner(_ peer: Peer) -> JSONValue {
        .members([
            "id": .string(peer.id), "name": .string(peer.name),
            "state": .string(peer.state.rawValue),
            "versionsURL": peer.versionsURL.map { .string($0) },
            "roles": .array(
                peer.roles.map { role in
                    [
                        "role": .string(role.role), "party": .string(role.party.description),
                        "name": .string(role.name),
                    ]
                }),
            "createdAt": .time(peer.createdAt), "updatedAt": .time(peer.updatedAt),
        ])
    }
}
