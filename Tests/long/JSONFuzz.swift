// Built with libFuzzer by test_json_fuzz.py, together with the sources of Charging and JSON.

/// Whatever the bytes: no crash; what the tree takes, `skip` takes; what was read comes back the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    do throws(JSONError) {
        let value = try JSONValue(parsing: bytes)
        precondition(isSkipped(bytes), "the tree takes what skip refuses")
        let written = value.encoded()
        let again = try JSONValue(parsing: written)
        precondition(again == value && again.encoded() == written, "it does not come back")
        _ = (value.decimal?.description, value.time, value.int64)
    } catch {
        precondition((0...count).contains(error.offset), "an error outside the text")
    }
    readScalars(bytes)
    return 0
}

private func isSkipped(_ bytes: [UInt8]) -> Bool {
    var reader = JSONReader(bytes.span.bytes)
    do throws(JSONError) {
        try reader.skip()
        try reader.finish()
        return true
    } catch {
        return false
    }
}

private func readScalars(_ bytes: [UInt8]) {
    var numbers = JSONReader(bytes.span.bytes)
    do throws(JSONError) { _ = try numbers.decimal() } catch {}
    var strings = JSONReader(bytes.span.bytes)
    do throws(JSONError) {
        let slice = try strings.rawString()
        _ = (strings.time(of: slice), strings.decimal(of: slice), strings.text(of: slice))
    } catch {}
}
