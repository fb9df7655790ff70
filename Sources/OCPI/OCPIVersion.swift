/// A version of the protocol whose objects Kerb reads; 2.2.1 is the one it speaks.
package enum OCPIVersion: String, Hashable, Sendable, CaseIterable {
    case v211 = "2.1.1"
    case v221 = "2.2.1"
    case v230 = "2.3.0"
}
