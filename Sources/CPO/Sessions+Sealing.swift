import Charging

extension Sessions {
    /// What a session keeps as it was when it began.
    func seal(
        _ token: Token, _ command: Command?, station: String, connector: ConnectorNumber,
        at: Timestamp
    ) -> Sealed {
        guard let place = stores.locations.place(station: station, connector: connector),
            let plug = place.evse.connectors.first
        else {
            return Sealed(
                token: token, location: nowhere(station, connector, at: at), connectorID: "1",
                tariff: nil, currency: settings.currency)
        }
        let tariff =
            command?.tariffID.flatMap { stores.tariffs.tariff($0) }
            ?? stores.tariffs.applicable(to: plug, at: at, for: token.kind)
        return Sealed(
            token: token, location: place.sealed, connectorID: plug.id, tariff: tariff,
            currency: tariff?.currency ?? settings.currency)
    }

    /// Stands for a plug nobody tied to a place yet, so that its sessions are kept as well.
    private func nowhere(
        _ station: String, _ connector: ConnectorNumber, at: Timestamp
    ) -> Location {
        let uid = "\(station)/\(connector)"
        let plug = Connector(
            id: "1", standard: "IEC_62196_T2", format: "SOCKET", powerType: "AC_3_PHASE",
            maxVoltage: 0, maxAmperage: 0, tariffIDs: [], lastUpdated: at)
        let evse = EVSE(
            uid: uid, evseID: nil, status: .unknown, connectors: [plug], station: station,
            stationConnector: connector, lastUpdated: at)
        return Location(
            party: settings.party, id: station, publish: false, name: nil, address: "", city: "",
            country: "", coordinates: Coordinates(latitude: .zero, longitude: .zero),
            timeZone: "UTC", evses: [evse], lastUpdated: at)
    }

    /// Stands for a tag nobody knows, so that the energy it took is somebody's.
    func stranger(_ idTag: String, at: Timestamp) -> Token {
        Token(
            party: settings.party, uid: idTag, kind: .other, contractID: idTag,
            issuer: settings.name, isValid: false, whitelist: .never, lastUpdated: at)
    }
}
