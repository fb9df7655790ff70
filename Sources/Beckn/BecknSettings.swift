import Charging

/// What the operator decides about the Beckn door; the section `beckn` of `cpo.yaml`.
package struct BecknSettings: Hashable, Sendable {
    /// Our id in the networks' registries.
    package var subscriberID: String
    /// Where BAPs call us; callbacks name it as `bpp_uri`.
    package var subscriberURL: String
    package var uniqueKeyID: String
    /// Domains we answer for. A closing `:*` matches by prefix.
    package var domains: [String]
    package var providerID: String
    package var providerName: String
    /// How the tax line of quotes is called: `gst`, `vat`.
    package var taxTitle: String
    package var quoteSeconds: Int64
    /// From confirm until the driver must have started; then the order is cancelled and refunded.
    package var noShowSeconds: Int64
    /// From the start request until energy must flow.
    package var startSeconds: Int64
    /// From the end request until the session must have ended.
    package var stopSeconds: Int64
    /// Kept of the payment when the driver cancels or does not come; never when we fail.
    package var cancellationFeePercent: Int
    /// The eMSP whose contracts the apps' drivers are under: their sessions and CDRs go to it over
    /// OCPI. nil: drivers are the operator's own, and no partner hears of them.
    package var appParty: PartyID?
    /// Whether an order may be paid after the charge.
    package var allowsPostPaid: Bool
    /// Quoted where the request names no quantity.
    package var defaultEnergy: WattHours
    package var defaultRadiusMetres: Int
    package var largestRadiusMetres: Int
    /// Locations in one catalogue; the nearest are kept.
    package var searchLimit: Int
    /// Between two unsolicited on_status of a running charge.
    package var statusSeconds: Int64
    package var supportPhone: String?
    package var supportEmail: String?
    package var supportURL: String?
    /// Plain `http` callbacks, for the demo and closed networks.
    package var allowsPlainCallbacks: Bool

    package init(
        subscriberID: String, subscriberURL: String, uniqueKeyID: String,
        domains: [String] = ["ev-charging:beckn", "ev-charging:uei"], providerID: String,
        providerName: String, taxTitle: String = "gst", quoteSeconds: Int64 = 900,
        noShowSeconds: Int64 = 900, startSeconds: Int64 = 120, stopSeconds: Int64 = 60,
        cancellationFeePercent: Int = 0, appParty: PartyID? = nil, allowsPostPaid: Bool = false,
        defaultEnergy: WattHours = WattHours(10_000), defaultRadiusMetres: Int = 10_000,
        largestRadiusMetres: Int = 100_000, searchLimit: Int = 50, statusSeconds: Int64 = 15,
        supportPhone: String? = nil, supportEmail: String? = nil, supportURL: String? = nil,
        allowsPlainCallbacks: Bool = false
    ) {
        self.subscriberID = subscriberID
        self.subscriberURL = subscriberURL
        self.uniqueKeyID = uniqueKeyID
        self.domains = domains
        self.providerID = providerID
        self.providerName = providerName
        self.taxTitle = taxTitle
        self.quoteSeconds = quoteSeconds
        self.noShowSeconds = noShowSeconds
        self.startSeconds = startSeconds
        self.stopSeconds = stopSeconds
        self.cancellationFeePercent = cancellationFeePercent
        self.appParty = appParty
        self.allowsPostPaid = allowsPostPaid
        self.defaultEnergy = defaultEnergy
        self.defaultRadiusMetres = defaultRadiusMetres
        self.largestRadiusMetres = largestRadiusMetres
        self.searchLimit = searchLimit
        self.statusSeconds = statusSeconds
        self.supportPhone = supportPhone
        self.supportEmail = supportEmail
        self.supportURL = supportURL
        self.allowsPlainCallbacks = allowsPlainCallbacks
    }

    func serves(domain: String) -> Bool {
        domains.contains { pattern in
            pattern.hasSuffix(":*")
                ? domain.hasPrefix(pattern.dropLast()) || domain == pattern.dropLast(2)
                : domain == pattern
        }
    }
}
