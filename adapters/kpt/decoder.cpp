#include "adapters/kpt/decoder.hpp"

#include "adapters/kpt/annotations.hpp"
#include "adapters/kpt/kptfile.hpp"

namespace veranda::kpt {

namespace {

class decoder final : public logic::package_decoder {
public:
  kptfile_facts decode_kptfile(std::string_view text) override { return kpt::decode_kptfile(text); }
  std::vector<logic::commit_annotation> decode_annotations(std::string_view message, std::size_t& dropped) override {
    return annotations_.decode(message, dropped);
  }

private:
  annotation_decoder annotations_;
};

} // namespace

std::unique_ptr<logic::package_decoder> make_decoder() { return std::make_unique<decoder>(); }

} // namespace veranda::kpt
