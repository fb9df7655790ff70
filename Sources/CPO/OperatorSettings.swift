import Charging

/// What the house needs to know of its owner, with the defaults of `Config/cpo.yaml`.
package struct OperatorSettings: Hashable, Sendable {
    package var party: PartyID
    package var name: String
    /// ISO 4217; for sessions without a tariff.
    package var currency: String
    /// Digits after the point of published money.
    package var moneyDigits: Int
    package var unknownStations: UnknownStations
    /// Where plugs of adopted stations find their place; nil leaves them without one.
    package var adoptionLocation: String?
    package var heartbeatIntervalSeconds: Int
    /// How long after a remote start its StartTransaction is still taken for it.
    package var remoteStartWindowSeconds: Int64
    /// How long a command waits for the station's answer.
    package var commandDeadlineSeconds: Int
    /// How long an orphan waits for its late stop before it is billed as it stands.
    package var orphanGraceSeconds: Int64
    /// Charges at a time with one token, and with all tokens of a group; 0: no bound.
    package var chargesPerToken = 0
    package var chargesPerGroup = 0
    /// What models of chargers do otherwise than OCPP has it; the first that fits counts.
    package var corrections: [ModelCorrection] = []
    /// How long a token's owner may take to say whether it may charge.
    package var ownerDeadlineSeconds = 5
    package var retention = RetentionSettings()

    package init(
        party: PartyID, name: String, currency: String, moneyDigits: Int = 2,
        unknownStations: UnknownStations = .inbox, adoptionLocation: String? = nil,
        heartbeatIntervalSeconds: Int = 300,
        remoteStartWindowSeconds: Int64 = 180, commandDeadlineSeconds: Int = 30,
        orphanGraceSeconds: Int64 = 86_400
    ) {
        self.party = party
        self.name = name
        self.currency = currency
        self.moneyDigits = moneyDigits
        self.unknownStations = unknownStations
        self.adoptionLocation = adoptionLocation
        self.heartbeatIntervalSeconds = heartbeatIntervalSeconds
        self.remoteStartWindowSeconds = remoteStartWindowSeconds
        self.commandDeadlineSeconds = commandDeadlineSeconds
        self.orphanGraceSeconds = orphanGraceSeconds
    }
}
