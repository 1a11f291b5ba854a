#pragma once

#include "striate/models/models.h"

// One function for each entry of the registry, defined in the file of its paper.
namespace striate::models {

Graph lenet5(const ModelOptions&);
Graph lenet5_paper(const ModelOptions&);

Graph vgg11(const ModelOptions&);
Graph vgg13(const ModelOptions&);
Graph vgg16(const ModelOptions&);
Graph vgg19(const ModelOptions&);
Graph vgg11_bn(const ModelOptions&);
Graph vgg13_bn(const ModelOptions&);
Graph vgg16_bn(const ModelOptions&);
Graph vgg19_bn(const ModelOptions&);

Graph resnet18(const ModelOptions&);
Graph resnet34(const ModelOptions&);
Graph resnet50(const ModelOptions&);
Graph resnet101(const ModelOptions&);
Graph resnet152(const ModelOptions&);
Graph resnet50_paper(const ModelOptions&);
Graph resnet101_paper(const ModelOptions&);
Graph resnet152_paper(const ModelOptions&);
Graph plain18(const ModelOptions&);
Graph plain34(const ModelOptions&);

Graph resnet20(const ModelOptions&);
Graph resnet32(const ModelOptions&);
Graph resnet44(const ModelOptions&);
Graph resnet56(const ModelOptions&);
Graph resnet110(const ModelOptions&);
Graph resnet1202(const ModelOptions&);
Graph plain20(const ModelOptions&);
Graph plain32(const ModelOptions&);
Graph plain44(const ModelOptions&);
Graph plain56(const ModelOptions&);
Graph plain110(const ModelOptions&);

}  // namespace striate::models
