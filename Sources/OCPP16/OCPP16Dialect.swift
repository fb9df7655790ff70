import Charging
import OCPP

/// OCPP 1.6 over JSON, edition 2 with errata.
package struct OCPP16Dialect: Sendable {
    package init() {}
    package var version: ProtocolVersion { .v16 }
}
