import JSON
import Testing

@testable import CPO

@Suite struct `A person's words` {
    @Test(arguments: [
        ("CARD-1", true), (#"{"idTag":"card-1"}"#, true), ("of card CARD-1.", true),
        ("CARD-12", false), ("XCARD-1", false), ("A-CARD-1", false), ("CARD-1-2", false),
        (#"["CARD\u002d1"]"#, true), (#"["CARD\u002d12"]"#, false), ("é CARD-1", true),
        ("", false),
    ])
    func `are found as words, whatever their case and spelling`(text: String, isFound: Bool) {
        #expect(PersonWords(["card-1"]).stand(in: text) == isFound)
    }

    @Test func `of few letters count only as a whole text`() {
        let words = PersonWords(["12"])
        #expect(words.stand(in: #"{"idTag":"12"}"#))
        #expect(words.stand(in: "12"))
        #expect(!words.stand(in: #"{"at":"12:30","value":12}"#))
    }

    @Test func `are replaced where they stand, the longest first, and nothing else is`() {
        let words = PersonWords(["card-1", "in-krb-card-1"])
        #expect(
            words.replaced(
                in: #"{"uid":"CARD-1","contract":"IN-KRB-CARD-1","n":1.50,"x":"CARD-10"}"#)
                == #"{"contract":"ERASED","n":1.50,"uid":"ERASED","x":"CARD-10"}"#)
        #expect(words.replaced(in: "card-1 and card-1") == "ERASED and ERASED")
        #expect(words.replaced(in: #"["CARD\u002d1"]"#) == #"["ERASED"]"#)
    }
}
