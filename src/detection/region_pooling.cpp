// RoI pooling: R. Girshick, Fast R-CNN, 2015, https://arxiv.org/abs/1504.08083
// RoI align: K. He, G. Gkioxari, P. Dollar, R. Girshick, Mask R-CNN, 2017,
// https://arxiv.org/abs/1703.06870
//
// Departure: unless `aligned`, RoI align makes no region smaller than one value of the map and does
// not take half a pixel off, as the published weights were trained with.
#include "striate/detection/region_pooling.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "kernels/region.h"
#include "striate/base/error.h"

namespace striate {

namespace {

using kernels::RegionGrid;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr int64_t kRegionsAtOnce = 4;  // of a thread
constexpr int64_t kChannelsAtOnce = 16;

void check(const at::Tensor& maps, const at::Tensor& regions) {
  if (maps.dim() != 4 || regions.dim() != 2 || regions.size(1) != 5) {
    throw ShapeError(fmt::format("regions need maps (N, C, H, W) and (R, 5), got {} and {}",
                                 to_string(maps.sizes().vec()), to_string(regions.sizes().vec())));
  }
  if (regions.scalar_type() != maps.scalar_type()) {
    throw std::invalid_argument("regions and maps must have one type");
  }
  if (regions.size(0) == 0) return;
  const at::Tensor index = regions.detach().select(1, 0);
  if (!at::isfinite(regions).all().item<bool>() || index.min().item<double>() < 0 ||
      index.max().item<double>() >= static_cast<double>(maps.size(0))) {
    throw std::invalid_argument(
        fmt::format("a region is not finite, or of none of {} maps", maps.size(0)));
  }
}

RegionGrid grid_of(const RegionPooling& pooling) {
  return {.rows = pooling.size.height,
          .columns = pooling.size.width,
          .scale = pooling.scale,
          .samples = pooling.sampling_ratio,
          .aligned = pooling.aligned};
}

// Carried from the forward to the backward pass.
c10::Dict<std::string, double> packed(const RegionGrid& grid) {
  c10::Dict<std::string, double> dict;
  dict.insert("rows", static_cast<double>(grid.rows));
  dict.insert("columns", static_cast<double>(grid.columns));
  dict.insert("scale", grid.scale);
  dict.insert("samples", static_cast<double>(grid.samples));
  dict.insert("aligned", grid.aligned ? 1 : 0);
  return dict;
}

RegionGrid unpacked(const c10::IValue& value) {
  const auto dict = c10::impl::toTypedDict<std::string, double>(value.toGenericDict());
  return {.rows = static_cast<int64_t>(dict.at("rows")),
          .columns = static_cast<int64_t>(dict.at("columns")),
          .scale = dict.at("scale"),
          .samples = static_cast<int64_t>(dict.at("samples")),
          .aligned = dict.at("aligned") != 0};
}

template <typename T>
kernels::Regions<T> regions_of(at::IntArrayRef maps, const T* values, const at::Tensor& regions) {
  return {.values = values,
          .channels = maps[1],
          .height = maps[2],
          .width = maps[3],
          .regions = regions.const_data_ptr<T>()};
}

at::Tensor empty_grids(const at::Tensor& maps, const at::Tensor& regions, const RegionGrid& grid) {
  return at::empty({regions.size(0), maps.size(1), grid.rows, grid.columns}, maps.options(),
                   kChannelsLast);
}

class RoiAlign : public torch::autograd::Function<RoiAlign> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& maps,
                            const at::Tensor& regions, const RegionGrid& grid) {
    const at::Tensor x = maps.contiguous(kChannelsLast);
    const at::Tensor rois = regions.contiguous();
    context->save_for_backward({rois});
    context->saved_data["grid"] = packed(grid);
    context->saved_data["maps"] = x.sizes().vec();
    const at::Tensor y = empty_grids(x, rois, grid);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "roi_align", [&] {
      const auto from = regions_of<scalar_t>(x.sizes(), x.const_data_ptr<scalar_t>(), rois);
      at::parallel_for(0, rois.size(0), kRegionsAtOnce, [&](int64_t begin, int64_t end) {
        kernels::align_regions<scalar_t>(from, grid, y.data_ptr<scalar_t>(), begin, end);
      });
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor rois = context->get_saved_variables()[0];
    const RegionGrid grid = unpacked(context->saved_data["grid"]);
    const std::vector<int64_t> sizes = context->saved_data["maps"].toIntVector();
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const at::Tensor result = at::empty(sizes, g.options(), kChannelsLast).zero_();
    AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "roi_align_gradient", [&] {
      const auto from = regions_of<scalar_t>(sizes, nullptr, rois);
      at::parallel_for(0, sizes[1], kChannelsAtOnce, [&](int64_t begin, int64_t end) {
        kernels::align_regions_gradient<scalar_t>(from, rois.size(0), grid,
                                                  g.const_data_ptr<scalar_t>(),
                                                  result.data_ptr<scalar_t>(), begin, end);
      });
    });
    return {result, {}, {}};
  }
};

class RoiPool : public torch::autograd::Function<RoiPool> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& maps,
                            const at::Tensor& regions, const RegionGrid& grid) {
    const at::Tensor x = maps.contiguous(kChannelsLast);
    const at::Tensor rois = regions.contiguous();
    const at::Tensor y = empty_grids(x, rois, grid);
    const at::Tensor places = at::empty_like(y, at::kInt);
    AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "roi_pool", [&] {
      const auto from = regions_of<scalar_t>(x.sizes(), x.const_data_ptr<scalar_t>(), rois);
      at::parallel_for(0, rois.size(0), kRegionsAtOnce, [&](int64_t begin, int64_t end) {
        kernels::pool_regions<scalar_t>(from, grid, y.data_ptr<scalar_t>(),
                                        places.data_ptr<int32_t>(), begin, end);
      });
    });
    context->save_for_backward({rois, places});
    context->saved_data["grid"] = packed(grid);
    context->saved_data["maps"] = x.sizes().vec();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const RegionGrid grid = unpacked(context->saved_data["grid"]);
    const std::vector<int64_t> sizes = context->saved_data["maps"].toIntVector();
    const at::Tensor g = gradients[0].contiguous(kChannelsLast);
    const at::Tensor result = at::empty(sizes, g.options(), kChannelsLast).zero_();
    AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "roi_pool_gradient", [&] {
      const auto from = regions_of<scalar_t>(sizes, nullptr, saved[0]);
      at::parallel_for(0, sizes[1], kChannelsAtOnce, [&](int64_t begin, int64_t end) {
        kernels::pool_regions_gradient<scalar_t>(
            from, saved[0].size(0), grid, saved[1].const_data_ptr<int32_t>(),
            g.const_data_ptr<scalar_t>(), result.data_ptr<scalar_t>(), begin, end);
      });
    });
    return {result, {}, {}};
  }
};

}  // namespace

at::Tensor roi_align(const at::Tensor& maps, const at::Tensor& regions,
                     const RegionPooling& pooling) {
  check(maps, regions);
  return RoiAlign::apply(maps, regions, grid_of(pooling));
}

at::Tensor roi_pool(const at::Tensor& maps, const at::Tensor& regions,
                    const RegionPooling& pooling) {
  check(maps, regions);
  return RoiPool::apply(maps, regions, grid_of(pooling));
}

}  // namespace striate
