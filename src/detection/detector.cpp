// Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks
// S. Ren, K. He, R. Girshick, J. Sun, 2015
// https://arxiv.org/abs/1506.01497
#include "striate/detection/detector.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <stdexcept>

#include "detection/backbone.h"
#include "detection/image_batch.h"
#include "detection/mask_head.h"
#include "detection/proposal_network.h"
#include "detection/region_head.h"
#include "detection/region_reader.h"
#include "striate/detection/box_coding.h"

namespace striate {

namespace {

constexpr const char* kBody = "backbone.body.";
constexpr const char* kHead = "roi_heads.box_head.";

// Of each image, in pixels of the batch.
std::vector<at::Tensor> scaled_boxes(const std::vector<at::Tensor>& boxes, const ImageBatch& batch,
                                     at::ScalarType type) {
  std::vector<at::Tensor> scaled;
  for (size_t i = 0; i < boxes.size(); ++i) {
    scaled.push_back(
        resize_boxes(boxes[i].to(type).reshape({-1, 4}), batch.originals[i], batch.sizes[i]));
  }
  return scaled;
}

void check_targets(const std::vector<at::Tensor>& images,
                   const std::vector<DetectionTarget>& targets, int64_t classes) {
  if (images.empty() || images.size() != targets.size()) {
    throw std::invalid_argument("a detector is trained on images with a target each");
  }
  for (const DetectionTarget& target : targets) {
    if (target.labels.size(0) != target.boxes.size(0)) {
      throw std::invalid_argument("a target needs as many labels as boxes");
    }
    if (target.boxes.size(0) == 0) continue;
    const at::Tensor sides = target.boxes.slice(1, 2) - target.boxes.slice(1, 0, 2);
    if (!(sides > 0).all().item<bool>() || !target.boxes.isfinite().all().item<bool>()) {
      throw std::invalid_argument("a box to train on is empty, reversed or not finite");
    }
    if (target.labels.min().item<int64_t>() < 0 || target.labels.max().item<int64_t>() >= classes) {
      throw std::invalid_argument(fmt::format("a label is not among {} classes", classes));
    }
  }
}

}  // namespace

at::Tensor DetectionLosses::total() const {
  at::Tensor sum = classes + boxes;
  for (const at::Tensor& part : {objectness, proposal_boxes, masks}) {
    if (part.defined()) sum = sum + part;
  }
  return sum;
}

class Detector::Parts {
 public:
  Parts(const DetectorOptions& o, std::optional<uint64_t> seed)
      : options(o),
        layers_(seed),
        backbone_(options, seed, layers_),
        proposals_(options.proposes
                       ? std::make_unique<ProposalNetwork>(options, backbone_.channels(), layers_)
                       : nullptr),
        head_(options, backbone_.channels(), seed, layers_),
        masks_(options.masks ? std::make_unique<MaskHead>(options, backbone_.channels(), layers_)
                             : nullptr) {
    backbone_.body().append_tensors(kBody, tensors);
    tensors.insert(tensors.end(), layers_.tensors().begin(), layers_.tensors().end());
    if (head_.part() != nullptr) head_.part()->append_tensors(kHead, tensors);
  }

  void to(at::ScalarType to) {
    type = to;
    backbone_.body().to(to);
    if (head_.part() != nullptr) head_.part()->to(to);
    at::NoGradGuard no_grad;
    for (const auto& [key, tensor] : layers_.tensors()) tensor.set_data(tensor.to(to));
  }

  void weights_changed() {
    backbone_.body().weights_changed();
    if (head_.part() != nullptr) head_.part()->weights_changed();
  }

  void load_backbone(const Weights& weights) {
    backbone_.body().load(weights);
    if (head_.part() != nullptr) head_.part()->load(weights);
  }

  DetectionLosses losses(const std::vector<at::Tensor>& images,
                         const std::vector<DetectionTarget>& targets, Random& random,
                         const std::vector<at::Tensor>& given) {
    check_targets(images, targets, options.classes);
    weights_changed();
    at::AutoGradMode gradients(true);
    const ImageBatch batch = batch_images(images, options, type, &random);
    std::vector<at::Tensor> boxes;
    for (const DetectionTarget& target : targets) boxes.push_back(target.boxes);
    boxes = scaled_boxes(boxes, batch, type);
    DetectionLosses losses;
    std::vector<at::Tensor> maps = backbone_.maps(batch.images);
    std::vector<at::Tensor> proposals = scaled_boxes(given, batch, type);
    if (proposals_ != nullptr) {
      const ProposalNetwork::Output output = proposals_->forward(maps, batch);
      proposals = proposals_->proposals(output, batch, options.training_proposals);
      proposals_->add_losses(output, boxes, random, losses);
    }
    check_proposals(proposals, images.size());
    leave_out_coarsest(maps);
    const SampledRegions sampled = head_.sample(proposals, boxes, targets, random);
    head_.add_losses(head_.forward(read(maps, sampled.regions, batch, options.region_size)),
                     sampled, boxes, losses);
    if (masks_ != nullptr) {
      const SampledRegions positive = positive_of(sampled);
      const at::Tensor values = read(maps, positive.regions, batch, options.mask_region_size);
      masks_->add_loss(masks_->forward(values), positive, targets, batch, losses);
    }
    return losses;
  }

  std::vector<FoundObjects> detect(const std::vector<at::Tensor>& images,
                                   const std::vector<at::Tensor>& given) {
    if (images.empty()) return {};
    at::NoGradGuard no_grad;
    const ImageBatch batch = batch_images(images, options, type);
    std::vector<at::Tensor> maps = backbone_.maps(batch.images);
    std::vector<at::Tensor> proposals = scaled_boxes(given, batch, type);
    if (proposals_ != nullptr) {
      proposals = proposals_->proposals(proposals_->forward(maps, batch), batch,
                                        options.evaluation_proposals);
    }
    check_proposals(proposals, images.size());
    leave_out_coarsest(maps);
    std::vector<FoundObjects> found = head_.found(
        head_.forward(read(maps, proposals, batch, options.region_size)), proposals, batch);
    if (masks_ != nullptr) add_masks(maps, batch, found);
    for (size_t i = 0; i < found.size(); ++i) {
      found[i].boxes = resize_boxes(found[i].boxes, batch.sizes[i], batch.originals[i]);
    }
    return found;
  }

  at::Tensor propose(const at::Tensor& image) {
    const ImageBatch batch = batch_images({image}, options, type);
    const std::vector<at::Tensor> proposals =
        proposals_->proposals(output_for(batch), batch, options.evaluation_proposals);
    return resize_boxes(proposals[0], batch.sizes[0], batch.originals[0]);
  }

  std::vector<at::Tensor> middle_anchors(const at::Tensor& image) {
    const ImageBatch batch = batch_images({image}, options, type);
    const ImageSize& size = batch.sizes[0];
    std::vector<at::Tensor> result;
    for (const at::Tensor& anchors : output_for(batch).anchors) {
      const at::Tensor x = anchors.select(1, 0) + anchors.select(1, 2);
      const at::Tensor y = anchors.select(1, 1) + anchors.select(1, 3);
      const at::Tensor distance = (x - static_cast<double>(size.width)).square() +
                                  (y - static_cast<double>(size.height)).square();
      const int64_t count = options.anchors.per_place(result.size());
      const int64_t place = distance.argmin().item<int64_t>() / count * count;
      result.push_back(resize_boxes(anchors.narrow(0, place, count), size, batch.originals[0]));
    }
    return result;
  }

  const DetectorOptions options;
  at::ScalarType type = at::kFloat;
  NamedTensors tensors;

 private:
  ProposalNetwork::Output output_for(const ImageBatch& batch) {
    if (proposals_ == nullptr) {
      throw std::invalid_argument(
          "the detector has no proposal network: proposals come from outside");
    }
    at::NoGradGuard no_grad;
    return proposals_->forward(backbone_.maps(batch.images), batch);
  }

  static void check_proposals(const std::vector<at::Tensor>& proposals, size_t images) {
    if (proposals.size() != images) {
      throw std::invalid_argument("proposals come from outside: as many lists as images");
    }
    for (const at::Tensor& boxes : proposals) {
      const at::Tensor sides = boxes.slice(1, 2) - boxes.slice(1, 0, 2);
      if (!(sides > 0).all().item<bool>() || !boxes.isfinite().all().item<bool>()) {
        throw std::invalid_argument("a proposal is empty, reversed or not finite");
      }
    }
  }

  // The map on top of a pyramid serves proposals only.
  void leave_out_coarsest(std::vector<at::Tensor>& maps) const {
    if (options.pyramid_channels > 0) maps.pop_back();
  }

  at::Tensor read(const std::vector<at::Tensor>& maps, const std::vector<at::Tensor>& regions,
                  const ImageBatch& batch, int64_t size) const {
    return read_regions(maps, regions, batch, size, options);
  }

  void add_masks(const std::vector<at::Tensor>& maps, const ImageBatch& batch,
                 std::vector<FoundObjects>& found) const {
    std::vector<at::Tensor> regions;
    for (const FoundObjects& objects : found) regions.push_back(objects.boxes);
    const at::Tensor values = read(maps, regions, batch, options.mask_region_size);
    masks_->set_masks(masks_->forward(values), found);
  }

  Layers layers_;
  Backbone backbone_;
  std::unique_ptr<ProposalNetwork> proposals_;
  RegionHead head_;
  std::unique_ptr<MaskHead> masks_;
};

Detector::Detector(const DetectorOptions& options, std::optional<uint64_t> seed)
    : parts_(std::make_unique<Parts>(options, seed)) {}
Detector::~Detector() = default;

const DetectorOptions& Detector::options() const {
  return parts_->options;
}

const NamedTensors& Detector::tensors() const {
  return parts_->tensors;
}

void Detector::to(at::ScalarType type) {
  parts_->to(type);
}

void Detector::load(const Weights& weights) {
  copy_weights(weights, parts_->tensors);
  parts_->weights_changed();
}

void Detector::load_backbone(const Weights& weights) {
  parts_->load_backbone(weights);
}

DetectionLosses Detector::losses(const std::vector<at::Tensor>& images,
                                 const std::vector<DetectionTarget>& targets, Random& random,
                                 const std::vector<at::Tensor>& proposals) {
  return parts_->losses(images, targets, random, proposals);
}

std::vector<FoundObjects> Detector::detect(const std::vector<at::Tensor>& images,
                                           const std::vector<at::Tensor>& proposals) {
  return parts_->detect(images, proposals);
}

at::Tensor Detector::propose(const at::Tensor& image) {
  return parts_->propose(image);
}

std::vector<at::Tensor> Detector::middle_anchors(const at::Tensor& image) {
  return parts_->middle_anchors(image);
}

at::Tensor image_tensor(const Image& image) {
  const Image rgb = to_rgb(image);
  const at::Tensor bytes =
      at::from_blob(const_cast<uint8_t*>(rgb.pixels.data()), {rgb.height, rgb.width, 3}, at::kByte);
  return bytes.permute({2, 0, 1}).to(at::kFloat) / 255;
}

}  // namespace striate
